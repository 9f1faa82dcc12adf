"""Checks of the broker, the way to it and the app's settings. Each is pure, over the facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rmqwork._admin.doctor.facts import Facts
from rmqwork._admin.doctor.finding import Finding, Severity

_SUPPORTED: Final = (3, 13)
_CONSUMER_TIMEOUT: Final = 1800.0
"""Seconds that RabbitMQ grants by default (guide "Consumers")."""
_OF_CONSUMERS: Final = (4, 3)
_OF_POLICIES: Final = (3, 12)
_SKEW: Final = 5.0
_DAY: Final = 86400.0
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PREFETCH: Final = 2000
"""RabbitMQ's guide "Quorum Queues" advises against a prefetch above it."""


def version(facts: Facts) -> Iterator[Finding]:
    """Versions that nobody mends any more."""
    if facts.server.version < _SUPPORTED:
        yield Finding(
            "version",
            "warning",
            str(facts.server),
            "its series gets no fixes any more",
            "upgrade to 4.x, by way of 3.13 (all feature flags enabled before each step)",
        )


def feature_flags(facts: Facts) -> Iterator[Finding]:
    """What at-least-once dead-lettering and streams need on older brokers."""
    for flag in ("quorum_queue", "stream_queue"):
        if facts.flags is not None and facts.flags.get(flag) is False:
            yield Finding(
                "feature-flag",
                "error",
                flag,
                "the feature flag is not enabled: queues or their dead-lettering do not work",
                f"rabbitmqctl enable_feature_flag {flag}",
            )


def rights(facts: Facts) -> Iterator[Finding]:
    """What this user may not do."""
    by_right: dict[str, list[str]] = {}
    for one in facts.denied or ():
        by_right.setdefault(one.right, []).append(f"{one.kind} {one.name!r}")
    for right, names in by_right.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        if right == "configure":
            fix = "give the right ('rmqwork topology rights'), or set RMQWORK_DECLARE=false"
        else:
            fix = "give the right: 'rmqwork topology rights' prints the command"
        yield Finding(
            f"permission-{right}",
            "error",
            facts.user,
            f"user {facts.user!r} has no {right} right on {', '.join(names[:3])}{more}",
            fix,
        )


def alarms(facts: Facts) -> Iterator[Finding]:
    """Nodes that hold publishers back, or soon will."""
    for node in facts.nodes or ():
        for what, raised in (("memory", node.memory_alarm), ("disk", node.disk_alarm)):
            if raised:
                yield Finding(
                    f"{what}-alarm",
                    "error",
                    node.name,
                    f"the {what} alarm is on: the broker takes no messages",
                    "read or purge what piles up, and give the node more "
                    + ("memory" if what == "memory" else "disk space"),
                )
        free, limit = node.disk_free, node.disk_limit
        if free is not None and limit and not node.disk_alarm and free < 2 * limit:
            yield Finding(
                "disk-low",
                "warning",
                node.name,
                f"{free >> 20} MiB of disk are free, and below {limit >> 20} MiB the broker stops",
                "give the node more disk space",
            )


def cluster(facts: Facts) -> Iterator[Finding]:
    """Nodes that are down, do not see each other, or are too few."""
    nodes = facts.nodes or ()
    for node in nodes:
        if not node.running:
            yield Finding(
                "node-down", "error", node.name, "the node does not run", "start it, or forget it"
            )
        if node.partitions:
            yield Finding(
                "partition",
                "error",
                node.name,
                f"it does not see {', '.join(node.partitions)}",
                "mend the network, and restart the side that has less",
            )
    if len(nodes) == 2:
        yield Finding(
            "two-nodes",
            "warning",
            facts.host,
            "a cluster of two has no majority when one is down: quorum queues stop",
            "add a third node, or use one",
        )
    if facts.critical:
        yield Finding(
            "quorum-critical",
            "error",
            facts.host,
            f"{len(facts.critical)} queues lose their majority with one more node: "
            + ", ".join(facts.critical[:3]),
            "start the nodes that are down before you stop another one",
        )


def clock(facts: Facts) -> Iterator[Finding]:
    """Clocks that do not agree: delays and expiry are counted in them."""
    if facts.skew is not None and abs(facts.skew) > _SKEW:
        side = "ahead of" if facts.skew > 0 else "behind"
        yield Finding(
            "clock",
            "warning",
            facts.host,
            f"the broker's clock is {abs(facts.skew):.0f} s {side} this host's: eta and expires "
            "are wrong by as much where the two meet",
            "run NTP on both",
        )


def certificates(facts: Facts) -> Iterator[Finding]:
    """Certificates that end soon."""
    for what, left in facts.certificates.items():
        if left < 30 * _DAY:
            severity: Severity = "error" if left < 7 * _DAY else "warning"
            when = "has expired" if left <= 0 else f"ends in {left / _DAY:.1f} days"
            yield Finding("certificate", severity, what, f"{what} {when}", "renew it")


def login(facts: Facts) -> Iterator[Finding]:
    """RabbitMQ's own user with its own password, from elsewhere."""
    if facts.default_login and facts.host not in _LOCAL:
        yield Finding(
            "default-login",
            "error",
            facts.user,
            f"user guest with the password guest on {facts.host}",
            "make a user of the app's own ('rmqwork topology rights'), and delete guest",
        )


def consumer_timeout(facts: Facts) -> Iterator[Finding]:
    """Tasks that may run for longer than the broker lets a delivery wait."""
    if facts.server.version >= _OF_CONSUMERS:
        return
    for queue in facts.manifest.queues:
        longest = max((_limit(task) for task in _tasks(facts, queue)), default=0.0)
        allowed = _CONSUMER_TIMEOUT
        name = facts.manifest.queues[queue].consumed[0]
        there = facts.found.queues.get(name) if facts.found is not None else None
        if there is not None:
            said = there.policy_definition.get("consumer-timeout")
            allowed = said / 1000 if isinstance(said, int) else allowed
        if longest > allowed:
            wanted = round((2 * longest + 60) * 1000)
            how = "the policy consumer-timeout of this queue, or " if _policies(facts) else ""
            yield Finding(
                "consumer-timeout",
                "error",
                queue,
                f"a task may run for {longest:g} s, and the broker takes a delivery back after "
                f"{allowed:g} s: it would run again",
                f"set {how}consumer_timeout in rabbitmq.conf to {wanted} ms, or upgrade to 4.3",
            )


def settings(facts: Facts) -> Iterator[Finding]:
    """Settings that do harm."""
    said = facts.manifest.settings
    if said.heartbeat is not None and said.heartbeat < 5:
        yield Finding(
            "heartbeat",
            "warning",
            "heartbeat",
            f"a heartbeat of {said.heartbeat} s "
            + ("finds no dead connection" if said.heartbeat == 0 else "takes busy ones for dead"),
            "leave it out (60 s), or set 10 and more",
        )
    if said.prefetch is not None and said.prefetch > _PREFETCH:
        yield Finding(
            "prefetch",
            "warning",
            "prefetch",
            f"a prefetch of {said.prefetch} hoards what other workers could start",
            "leave it out: it follows what the executors can start",
        )


def _limit(task: object) -> float:
    found = getattr(task, "hard_time_limit", None) or getattr(task, "time_limit", None)
    return float(found or 0.0)


def _tasks(facts: Facts, queue: str) -> list[object]:
    default = facts.manifest.default_queue
    return [task for task in facts.manifest.tasks.values() if (task.queue or default) == queue]


def _policies(facts: Facts) -> bool:
    return facts.server.version >= _OF_POLICIES
