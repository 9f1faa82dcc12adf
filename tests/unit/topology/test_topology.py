"""Exchanges, queues and bindings, and what they come to."""

from __future__ import annotations

import pytest

from rmqwork._topology.topology import (
    RETURN_EXCHANGE,
    TASKS_EXCHANGE,
    UNROUTABLE,
    Bind,
    Binding,
    Declaration,
    DeclareExchange,
    DeclareQueue,
    Exchange,
    Queue,
    app_declarations,
    queue_plan,
)
from rmqwork.errors import ConfigurationError


def queues_of(plan: list[Declaration]) -> dict[str, DeclareQueue]:
    return {d.name: d for d in plan if isinstance(d, DeclareQueue)}


def test_a_queue_is_a_safe_quorum_queue():
    assert Queue("q").declared_arguments() == {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "q.dlq",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-delivery-limit": 1_000_000,
    }


def test_a_classic_queue_has_no_arguments_of_quorum_queues():
    plain = Queue("q", "classic").declared_arguments()
    bounded = Queue("q", "classic", max_length=5, max_priority=9).declared_arguments()

    assert set(plain) == {"x-queue-type", "x-dead-letter-exchange", "x-dead-letter-routing-key"}
    assert bounded["x-overflow"] == "reject-publish"
    assert bounded["x-max-priority"] == 9


def test_options_become_arguments_in_the_brokers_units():
    queue = Queue("q", max_length=5, max_length_bytes=7, message_ttl=1.5, arguments={"x-new": 1})

    arguments = queue.declared_arguments()

    assert arguments["x-max-length"] == 5
    assert arguments["x-max-length-bytes"] == 7
    assert arguments["x-message-ttl"] == 1500
    assert arguments["x-new"] == 1


@pytest.mark.parametrize(
    ("queue", "bounded"),
    [
        (Queue("q"), False),
        (Queue("q", message_ttl=1), False),
        (Queue("q", max_length=1), True),
        (Queue("q", max_length_bytes=1), True),
        (Queue("q", arguments={"x-max-length": 1}), True),
        (Queue("q", arguments={"x-max-length-bytes": 1}), True),
    ],
)
def test_a_bounded_queue_takes_returns_on_a_queue_without_bounds(queue: Queue, bounded: bool):
    plan = queue_plan(queue)

    assert queue.bounded is bounded
    assert queue.consumed()[0] == "q"
    assert ("q.due" in queue.consumed()) is bounded
    back = "q.due" if bounded else "q"
    assert Bind(RETURN_EXCHANGE, back, "q") in plan
    assert Bind(TASKS_EXCHANGE, "q", "q") in plan
    assert Bind(f"{TASKS_EXCHANGE}.due", back, "q") in plan
    if bounded:
        due = queues_of(plan)["q.due"].arguments
        assert not {"x-max-length", "x-max-length-bytes"} & set(due)
        assert due["x-dead-letter-routing-key"] == "q.dlq"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Queue(""),
        lambda: Queue("q" * 241),
        lambda: Queue("ü" * 121),
        lambda: Queue("amq.mine"),
        lambda: Queue("q", "stream"),  # type: ignore[arg-type]
        lambda: Queue("q", max_length=0),
        lambda: Queue("q", max_length_bytes=-1),
        lambda: Queue("q", message_ttl=0),
        lambda: Queue("q", max_priority=5),
        lambda: Queue("q", "classic", max_priority=0),
        lambda: Queue("q", "classic", max_priority=256),
        lambda: Exchange(""),
        lambda: Exchange("amq.topic"),
        lambda: Exchange("x", "x-delayed-message"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_said_at_once(make):
    with pytest.raises(ConfigurationError):
        make()


def test_the_longest_name_leaves_room_for_the_names_made_from_it():
    plan = queue_plan(Queue("q" * 240, max_length=1))

    assert all(len(name) <= 255 for name in queues_of(plan))


def test_a_plan_finds_each_thing_that_it_refers_to():
    plan = app_declarations(
        [
            Queue("a", bindings=[Binding("events", "a.#"), Binding(Exchange("own"), "k")]),
            Queue("b", max_length=3, bindings=[Binding("events", "b", {"n": 1})]),
        ],
        [Exchange("events", "headers", alternate=UNROUTABLE)],
    )

    known: set[str] = set()
    for declaration in plan:
        if isinstance(declaration, Bind):
            assert {declaration.source, declaration.destination} <= known, declaration
        else:
            alternate = declaration.arguments.get("alternate-exchange")
            assert alternate is None or alternate in known, declaration
            known.add(declaration.name)
    assert {"a", "a.dlq", "b", "b.dlq", "b.due", "events.due", "own.due", UNROUTABLE} <= known


def test_a_binding_is_made_on_the_twin_too():
    plan = app_declarations([Queue("a", bindings=[Binding("x", "k.*", {"n": 1})])], [Exchange("x")])

    assert Bind("x", "a", "k.*", {"n": 1}) in plan
    assert Bind("x.due", "a", "k.*", {"n": 1}) in plan


def test_a_twin_is_like_its_exchange_and_catches_what_it_cannot_route():
    plan = app_declarations([], [Exchange("x", "direct"), Exchange("y", "fanout", alternate="x")])

    assert DeclareExchange("x", "direct", {}) in plan
    assert DeclareExchange("x.due", "direct", {"alternate-exchange": UNROUTABLE}) in plan
    assert DeclareExchange("y.due", "fanout", {"alternate-exchange": "x"}) in plan


def test_an_exchange_that_nobody_names_is_an_error():
    with pytest.raises(ConfigurationError, match=r"'q'.*'missing'"):
        app_declarations([Queue("q", bindings=[Binding("missing", "k")])])


def test_an_exchange_described_twice_must_be_the_same():
    same = Exchange("x", "direct")
    app_declarations([Queue("q", bindings=[Binding(same, "k")])], [Exchange("x", "direct")])

    with pytest.raises(ConfigurationError, match="twice"):
        app_declarations([Queue("q", bindings=[Binding(same, "k")])], [Exchange("x", "topic")])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Queue(3),  # type: ignore[arg-type]
        lambda: Queue("a\nb"),
        lambda: Queue("q", max_length="9"),  # type: ignore[arg-type]
        lambda: Queue("q", max_length=True),
        lambda: Queue("q", max_length=1.5),  # type: ignore[arg-type]
        lambda: Queue("q", message_ttl=float("nan")),
        lambda: Queue("q", message_ttl=float("inf")),
        lambda: Queue("q", type="classic", max_priority="9"),  # type: ignore[arg-type]
        lambda: Queue("q", bindings=["events"]),  # type: ignore[list-item]
        lambda: Queue("q", bindings=3),  # type: ignore[arg-type]
        lambda: Exchange(3),  # type: ignore[arg-type]
    ],
)
def test_values_of_a_wrong_kind_are_a_configuration_error(make):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("queues", "exchanges"),
    [
        ([Queue("q"), Queue("q.dlq")], []),  # whose worker would run dead letters
        ([Queue("q"), Queue("q.suspects")], []),
        ([Queue("q", max_length=1), Queue("q.due")], []),
        ([Queue("rmqwork.unroutable")], []),
        ([Queue("rmqwork.delay.v1.00")], []),
        ([], [Exchange("e"), Exchange("e.due")]),
        ([], [Exchange("rmqwork.return", type="direct")]),
    ],
)
def test_names_that_are_made_from_others_are_not_to_be_had_twice(queues, exchanges):
    with pytest.raises(ConfigurationError, match="rename"):
        app_declarations(queues, exchanges)


def test_similar_names_do_not_clash():
    plan = app_declarations(
        [Queue("q"), Queue("q.due"), Queue("q.dlq.old")], [Exchange("q"), Exchange("e")]
    )

    queues = [one.name for one in plan if isinstance(one, DeclareQueue)]
    assert len(queues) == len(set(queues))
    assert {"q", "q.dlq", "q.due", "q.due.dlq", "q.dlq.old", "q.dlq.old.dlq"} <= set(queues)
    exchanges = [one.name for one in plan if isinstance(one, DeclareExchange)]
    assert len(exchanges) == len(set(exchanges))
    assert {"q", "e"} <= set(exchanges)


def test_a_comma_separates_names_and_is_in_none():
    with pytest.raises(ConfigurationError, match=r"queue 'a,b'.*no comma"):
        Queue("a,b")


def test_a_queue_tells_the_partition_of_a_key() -> None:
    queue = Queue("orders", partitions=8)

    assert queue.partition_of(7) == queue.partition_of("7") == 6
    with pytest.raises(ConfigurationError, match="'mails' has no partitions"):
        Queue("mails").partition_of(7)
