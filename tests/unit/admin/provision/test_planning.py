"""What a plan says, for what a virtual host has."""

from __future__ import annotations

from dataclasses import replace

from rmqwork import App, Queue
from rmqwork._admin.provision.found import Found, FoundExchange, FoundQueue
from rmqwork._admin.provision.looking import whole_plan
from rmqwork._admin.provision.planning import Unused, make_plan
from rmqwork._topology.topology import Bind, Declaration, DeclareExchange, DeclareQueue


def declarations(*queues: Queue) -> list[Declaration]:
    return whole_plan(App("shop", queues=queues or [Queue("high")]))


def made(plan: list[Declaration]) -> Found:
    """What a broker has after the plan was made there."""
    queues, exchanges = {}, {}
    for one in plan:
        if isinstance(one, DeclareQueue):
            kind = str(one.arguments["x-queue-type"])
            queues[one.name] = FoundQueue(one.name, kind, arguments=dict(one.arguments))
        elif isinstance(one, DeclareExchange):
            found = FoundExchange(one.name, one.type, arguments=dict(one.arguments))
            exchanges[one.name] = found
    return Found(queues, exchanges, [one for one in plan if isinstance(one, Bind)])


def test_all_is_missing_on_an_empty_virtual_host() -> None:
    plan = declarations()
    found = make_plan(plan, Found())
    assert [*found.create] == [one for one in plan if not isinstance(one, Bind)]
    assert [*found.bind] == [one for one in plan if isinstance(one, Bind)]
    assert found.to_do == len(plan)
    assert [*found.differs, *found.unused, *found.unknown] == []


def test_nothing_to_do_where_all_was_made() -> None:
    found = make_plan(declarations(), made(declarations()))
    assert (found.to_do, found.differs, found.unused) == (0, [], [])


def test_differences_are_listed_field_by_field() -> None:
    # Given a classic queue that differs in three fields, and an exchange of another type
    there = made(declarations())
    old = FoundQueue(
        "high",
        "classic",
        durable=False,
        arguments={"x-dead-letter-exchange": "", "x-max-length": 7},
    )
    queues = {**there.queues, "high": old}
    exchanges = {**there.exchanges, "rmqwork.tasks": FoundExchange("rmqwork.tasks", "direct")}

    # When
    found = make_plan(declarations(), replace(there, queues=queues, exchanges=exchanges))

    # Then
    said = {(one.name, one.attribute): (one.theirs, one.ours, one.suits) for one in found.differs}
    assert said == {
        ("rmqwork.tasks", "type"): ("direct", "topic", False),
        ("high", "durable"): ("false", "true", False),
        ("high", "x-queue-type"): ("classic", "quorum", False),
        ("high", "x-max-length"): ("7", None, True),
        ("high", "x-delivery-limit"): (None, "1000000", True),
        ("high", "x-dead-letter-strategy"): (None, "at-least-once", True),
        ("high", "x-overflow"): (None, "reject-publish", True),
        ("high", "x-dead-letter-routing-key"): (None, "high.dlq", False),
    }
    assert found.to_do == 0


def test_what_the_app_does_not_need_any_more_is_listed() -> None:
    # Given a virtual host made for two queues, one bounded, and an app with one that is not
    there = made(declarations(Queue("high", max_length=5), Queue("old")))
    queues = {**there.queues, "old": replace(there.queues["old"], messages=3, consumers=1)}
    queues["else"] = FoundQueue("else")
    queues["rmqwork.replies.shop.1"] = FoundQueue("rmqwork.replies.shop.1")
    stale = Bind("rmqwork.tasks", "high", "once")

    # When
    found = Found(queues, there.exchanges, [*there.bindings, stale])
    spare = make_plan(declarations(Queue("high")), found).unused

    # Then: what hangs on rmqwork's exchanges, and nothing else
    listed = {(one.kind, one.name) for one in spare}
    assert listed == {
        ("queue", "high.due"),
        ("queue", "old"),
        ("queue", "old.dlq"),
        ("queue", "old.suspects"),
        ("binding", "rmqwork.tasks -> high (once)"),
    }
    assert Unused("queue", "old", "bound to rmqwork.return", 3, 1) in spare


def test_a_binding_that_is_said_twice_is_made_once() -> None:
    plan = declarations()
    twice = [*plan, *(one for one in plan if isinstance(one, Bind))]
    assert make_plan(twice, Found()).to_do == len(plan)
