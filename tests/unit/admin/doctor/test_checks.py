"""Each planted fault is found, with its fix; a good set-up is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rmqwork import App, Queue
from rmqwork._admin.doctor.checks import examine
from rmqwork._admin.doctor.facts import Denied, Facts, Node
from rmqwork._admin.provision.found import Found, FoundExchange, FoundQueue
from rmqwork._admin.provision.looking import whole_plan
from rmqwork._admin.provision.planning import make_plan
from rmqwork._config.manifest import Manifest
from rmqwork._topology.topology import Bind, DeclareExchange, DeclareQueue
from rmqwork.types import Server

DAY = 86400.0


def good(**settings: Any) -> Facts:
    """A broker of today on which all is as the app says."""
    app = App("shop", queues=[Queue("high"), Queue("old", type="classic")], **settings)

    @app.task(queue="high", time_limit=3600)
    def long() -> None: ...

    plan = whole_plan(app)
    queues, exchanges = {}, {}
    for one in plan:
        if isinstance(one, DeclareQueue):
            kind = str(one.arguments["x-queue-type"])
            queues[one.name] = FoundQueue(
                one.name, kind, arguments=dict(one.arguments), consumers=1
            )
        elif isinstance(one, DeclareExchange):
            arguments = dict(one.arguments)
            exchanges[one.name] = FoundExchange(one.name, one.type, arguments=arguments)
    found = Found(queues, exchanges, [one for one in plan if isinstance(one, Bind)])
    facts = Facts(
        manifest=Manifest.from_dict(app.manifest()),
        server=Server("RabbitMQ", (4, 3, 6)),
        host="rabbit.example.com",
        user="shop",
        encrypted=True,
        denied=[],
        nodes=[Node("rabbit@a", disk_free=50 << 30, disk_limit=1 << 30)],
        flags={"quorum_queue": True, "stream_queue": True},
        critical=[],
        skew=0.4,
        certificates={"the broker's certificate (rabbit.example.com)": 90 * DAY},
    )
    return with_found(facts, found)


def with_found(facts: Facts, found: Found) -> Facts:
    app = App("shop", queues=[Queue("high"), Queue("old", type="classic")])
    return replace(facts, found=found, plan=make_plan(whole_plan(app), found))


def with_queue(name: str, **changed: Any) -> Callable[[Facts], Facts]:
    """The same, but for one queue; arguments that are None are absent."""

    def change(facts: Facts) -> Facts:
        assert facts.found is not None
        queue = facts.found.queues.get(name, FoundQueue(name))
        arguments = {**queue.arguments, **changed.pop("arguments", {})}
        kept = {key: value for key, value in arguments.items() if value is not None}
        made = replace(queue, arguments=kept, **changed)
        return with_found(facts, replace(facts.found, queues={**facts.found.queues, name: made}))

    return change


def without_queue(facts: Facts) -> Facts:
    assert facts.found is not None
    queues = {name: one for name, one in facts.found.queues.items() if name != "high.dlq"}
    return with_found(facts, replace(facts.found, queues=queues))


def without_joins(facts: Facts) -> Facts:
    assert facts.found is not None
    queues = {
        name: one
        for name, one in facts.found.queues.items()
        if not name.startswith("rmqwork.joins.")
    }
    return with_found(facts, replace(facts.found, queues=queues))


def node(**changed: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, nodes=[Node("rabbit@a", **changed)])


def but(**changed: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, **changed)


PLANTED: list[tuple[str, str, Callable[[Facts], Facts], str]] = [
    ("memory-alarm", "rabbit@a", node(memory_alarm=True), "more memory"),
    ("disk-alarm", "rabbit@a", node(disk_alarm=True), "more disk space"),
    ("disk-low", "rabbit@a", node(disk_free=60 << 20, disk_limit=50 << 20), "more disk space"),
    ("node-down", "rabbit@a", node(running=False), "start it"),
    ("partition", "rabbit@a", node(partitions=("rabbit@b",)), "mend the network"),
    ("two-nodes", "rabbit.example.com", but(nodes=[Node("a"), Node("b")]), "a third node"),
    ("quorum-critical", "rabbit.example.com", but(critical=["high"]), "start the nodes"),
    ("queue-type", "old", but(nodes=[Node("a"), Node("b"), Node("c")]), "migrate APP old"),
    ("permission-read", "shop", but(denied=[Denied("read", "queue", "high")]), "topology rights"),
    (
        "permission-write",
        "shop",
        but(denied=[Denied("write", "exchange", "amq.default")]),
        "topology rights",
    ),
    (
        "permission-configure",
        "shop",
        but(denied=[Denied("configure", "exchange", "rmqwork.tasks")]),
        "RMQWORK_DECLARE=false",
    ),
    ("version", "RabbitMQ 3.12.1", but(server=Server("RabbitMQ", (3, 12, 1))), "upgrade to 4.x"),
    ("feature-flag", "stream_queue", but(flags={"stream_queue": False}), "enable_feature_flag"),
    ("topology-missing", "high.dlq", without_queue, "topology apply"),
    ("topology-differs", "high", with_queue("high", type="classic"), "migrate APP high"),
    (
        "dead-letter-route",
        "high",
        with_queue("high", arguments={"x-dead-letter-routing-key": "else"}),
        "migrate APP high",
    ),
    (
        "dead-letter-strategy",
        "high",
        with_queue("high", arguments={"x-dead-letter-strategy": None}),
        "migrate APP high",
    ),
    (
        "delivery-limit",
        "high",
        with_queue("high", arguments={"x-delivery-limit": None}),
        "migrate APP high",
    ),
    (
        "delivery-limit",
        "high",
        with_queue("high", policy="limits", policy_definition={"delivery-limit": 5}),
        "policy 'limits'",
    ),
    (
        "policy",
        "rmqwork.delay.v1.03",
        with_queue("rmqwork.delay.v1.03", policy="all", policy_definition={"expires": 1000}),
        "take expires out of the policy",
    ),
    ("no-worker", "high", with_queue("high", messages=7, consumers=0), "rmqwork worker APP -Q"),
    ("unroutable", "rmqwork.unroutable", with_queue("rmqwork.unroutable", messages=2), "make the"),
    ("migration", "high", with_queue("high.migrating", messages=9), "migrate APP high"),
    (
        "consumer-timeout",
        "high",
        but(server=Server("RabbitMQ", (4, 0, 5))),
        "consumer_timeout in rabbitmq.conf to 7260000 ms",
    ),
    (
        "certificate",
        "our client certificate",
        but(certificates={"our client certificate": 3 * DAY}),
        "renew",
    ),
    ("default-login", "guest", but(default_login=True, user="guest"), "delete guest"),
    ("clock", "rabbit.example.com", but(skew=-61.0), "NTP"),
]


def test_a_good_set_up_is_silent() -> None:
    assert examine(good()) == []


@pytest.mark.parametrize(("check", "subject", "plant", "fix"), PLANTED)
def test_what_is_planted_is_found(
    check: str, subject: str, plant: Callable[[Facts], Facts], fix: str
) -> None:
    found = [one for one in examine(plant(good())) if one.check == check]
    assert [one.subject for one in found] == [subject]
    assert fix in found[0].fix
    assert "\n" not in found[0].text + found[0].fix


@pytest.mark.parametrize(
    ("settings", "check"), [({"heartbeat": 0}, "heartbeat"), ({"prefetch": 5000}, "prefetch")]
)
def test_settings_that_do_harm_are_found(settings: dict[str, int], check: str) -> None:
    assert [one.check for one in examine(good(**settings))] == [check]


def test_a_policy_may_give_a_long_task_its_time() -> None:
    facts = but(server=Server("RabbitMQ", (4, 0, 5)))(good())
    given = with_queue("high", policy="t", policy_definition={"consumer-timeout": 7_260_000})
    assert "consumer-timeout" not in {one.check for one in examine(given(facts))}


def test_errors_come_first_and_what_is_unknown_is_no_finding() -> None:
    facts = replace(good(), nodes=None, flags=None, critical=None, skew=None, denied=None)
    assert examine(facts) == []
    facts = replace(facts, found=None, plan=None)
    assert examine(facts) == []
    both = examine(node(memory_alarm=True)(but(skew=9.0)(good())))
    assert [one.severity for one in both] == ["error", "warning"]


def test_queues_of_joins_are_missed_only_where_nobody_may_declare_them() -> None:
    """Who publishes the first group declares them."""
    assert examine(without_joins(good())) == []

    [finding] = examine(without_joins(good(declare=False)))
    assert (finding.check, finding.subject) == ("topology-missing", "rmqwork.joins.dlq")
