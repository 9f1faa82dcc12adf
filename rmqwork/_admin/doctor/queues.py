"""Checks of exchanges, queues and policies. Each is a pure function over the facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rmqwork._admin.doctor.facts import Facts
from rmqwork._admin.doctor.finding import Finding
from rmqwork._admin.provision.found import FoundQueue
from rmqwork._admin.provision.migration import waiting_room
from rmqwork._topology.differences import Difference
from rmqwork._topology.join_queues import PREFIX as JOINS
from rmqwork._topology.topology import UNROUTABLE, DeclareQueue, dead_letter_queue

_LEAST_LIMIT: Final = 1000
_SAFETY: Final = frozenset({"x-dead-letter-strategy", "x-overflow"})
_ROUTE: Final = frozenset({"x-dead-letter-exchange", "x-dead-letter-routing-key"})
_LIMIT: Final = "x-delivery-limit"
_LOSING: Final[Mapping[str, str]] = {
    "expires": "deletes the queue, with its messages, when nobody reads it for a while",
    "message-ttl": "takes messages out before a worker has seen them",
    "max-length": "refuses or drops messages beyond a length that the app does not know of",
    "max-length-bytes": "refuses or drops messages beyond a size that the app does not know of",
    "overflow": "decides what a full queue does",
    "dead-letter-exchange": "sends dead letters elsewhere",
    "dead-letter-routing-key": "sends dead letters elsewhere",
    "dead-letter-strategy": "decides whether dead letters can be lost",
    "delayed-retry-type": "delays what a worker hands back",
}


def topology_missing(facts: Facts) -> Iterator[Finding]:
    """Exchanges, queues or bindings that are not there."""
    if facts.plan is None or not facts.plan.to_do:
        return
    names = [one.name for one in facts.plan.create]
    names += [f"{one.source} -> {one.destination}" for one in facts.plan.bind]
    if facts.manifest.settings.declare:  # by whoever publishes the first group
        names = [name for name in names if not name.startswith(JOINS)]
    if not names:
        return
    yield Finding(
        "topology-missing",
        "error",
        names[0],
        f"the broker has not all that the app needs: {_some(names)}",
        "run 'rmqwork topology apply', or start a worker that may declare",
    )


def queue_differs(facts: Facts) -> Iterator[Finding]:
    """Objects with other properties, the type and the dead-letter route before all."""
    for name, found in _differences(facts).items():
        rest = [one for one in found if one.attribute not in {*_SAFETY, _LIMIT}]
        if not rest:
            continue
        if any(one.attribute in _ROUTE for one in rest):
            check = "dead-letter-route"
        else:
            check = "topology-differs"
        yield Finding(
            check,
            "error" if any(not one.suits for one in rest) else "warning",
            name,
            "; ".join(str(one) for one in rest),
            f"run 'rmqwork topology migrate APP {name}', or change the app"
            if rest[0].kind == "queue"
            else "delete it when nobody publishes, and run 'rmqwork topology apply'",
        )


def dead_letters_can_be_lost(facts: Facts) -> Iterator[Finding]:
    """Quorum queues without at-least-once dead-lettering."""
    for name, found in _differences(facts).items():
        unsafe = [one for one in found if one.attribute in _SAFETY and one.ours is not None]
        if unsafe and not any(one.attribute == "x-queue-type" for one in found):
            yield Finding(
                "dead-letter-strategy",
                "error",
                name,
                f"{'; '.join(str(one) for one in unsafe)}: the broker may lose what it "
                "dead-letters, or what a full queue does not take",
                f"run 'rmqwork topology migrate APP {name}'",
            )


def delivery_limit(facts: Facts) -> Iterator[Finding]:
    """Limits with which the broker itself gives up messages that no task has failed."""
    for queue in _ours(facts):
        if queue.type != "quorum" or queue.name == UNROUTABLE:
            continue
        said = [queue.arguments.get(_LIMIT), queue.policy_definition.get("delivery-limit")]
        limits = [limit for limit in said if isinstance(limit, int) and limit >= 0]
        # None said: 20 since RabbitMQ 4.0 (guide "Quorum Queues", "Poison Message Handling").
        least = min(limits, default=20 if facts.server.version >= (4,) else _LEAST_LIMIT)
        if queue.name.startswith("rmqwork.delay."):
            continue
        if least < _LEAST_LIMIT:
            prefetch = facts.manifest.settings.prefetch
            yield Finding(
                "delivery-limit",
                "error",
                queue.name,
                f"a message is dead-lettered by the broker after {least} lost deliveries, and each "
                "crash of a worker or broker counts one for all that is prefetched"
                + (f" ({prefetch})" if prefetch else ""),
                _limit_fix(queue, said),
            )


def _limit_fix(queue: FoundQueue, said: list[object]) -> str:
    if said[1] is not None:
        return f"take delivery-limit out of policy {queue.policy!r}"
    return f"run 'rmqwork topology migrate APP {queue.name}': rmqwork sets 1000000"


def policy_overrides(facts: Facts) -> Iterator[Finding]:
    """Policies that change what the app says of a queue."""
    for queue in _ours(facts):
        losing = [key for key in queue.policy_definition if key in _LOSING]
        for key in losing:
            yield Finding(
                "policy",
                "error" if key in ("expires", "message-ttl", "overflow") else "warning",
                queue.name,
                f"policy {queue.policy or '(operator)'!r} sets {key} = "
                f"{queue.policy_definition[key]!r}, which {_LOSING[key]}",
                f"take {key} out of the policy, or give it a pattern that leaves out this queue; "
                "what is meant goes into Queue(...)",
            )


def unread(facts: Facts) -> Iterator[Finding]:
    """Queues with messages and nobody who reads them; what could return nowhere."""
    if facts.found is None:
        return
    for name in facts.manifest.queues:
        queue = facts.found.queues.get(name)
        if queue is not None and queue.messages and not queue.consumers:
            yield Finding(
                "no-worker",
                "warning",
                name,
                f"{queue.messages} messages wait, and no worker reads the queue",
                f"start one: rmqwork worker APP -Q {name}",
            )
    lost = facts.found.queues.get(UNROUTABLE)
    if lost is not None and lost.messages:
        yield Finding(
            "unroutable",
            "warning",
            UNROUTABLE,
            f"{lost.messages} messages could return nowhere: their queue was deleted meanwhile",
            "make the queue again ('rmqwork topology apply' of its app) and move them there",
        )


def migration_left(facts: Facts) -> Iterator[Finding]:
    """A migration that ended early: messages wait beside their queue."""
    for name in facts.manifest.queues:
        room = None if facts.found is None else facts.found.queues.get(waiting_room(name))
        if room is not None:
            yield Finding(
                "migration",
                "error",
                name,
                f"a migration ended early; {room.messages} messages wait in {room.name!r}",
                f"run 'rmqwork topology migrate APP {name}' again; it goes on where it was",
            )


def classic_on_a_cluster(facts: Facts) -> Iterator[Finding]:
    """Queues that go with their node."""
    if facts.nodes is None or len(facts.nodes) < 2:
        return
    for entry in facts.manifest.queues.values():
        if entry.type == "classic":
            yield Finding(
                "queue-type",
                "warning",
                entry.name,
                f"a classic queue is on one of {len(facts.nodes)} nodes, and gone with it",
                f"make it Queue({entry.name!r}) (quorum) and 'rmqwork topology migrate APP "
                f"{entry.name}'",
            )


def _ours(facts: Facts) -> list[FoundQueue]:
    """The queues of the app that exist; dead-letter queues included."""
    if facts.found is None:
        return []
    names = {one.name for one in facts.manifest.declarations if isinstance(one, DeclareQueue)}
    names |= {dead_letter_queue(name) for name in facts.manifest.queues}
    mine = [queue for name, queue in facts.found.queues.items() if name in names]
    return mine + [q for n, q in facts.found.queues.items() if n.startswith("rmqwork.delay.")]


def _differences(facts: Facts) -> dict[str, list[Difference]]:
    by_name: dict[str, list[Difference]] = {}
    for one in facts.plan.differs if facts.plan is not None else ():
        by_name.setdefault(one.name, []).append(one)
    return by_name


def _some(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
