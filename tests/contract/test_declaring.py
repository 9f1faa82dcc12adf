"""Declare: idempotent, what exists and suits is used, what does not is compared field by field."""

from __future__ import annotations

import pytest

from rmqwork._topology import delays
from rmqwork._topology.differences import Difference
from rmqwork._topology.topology import (
    TASKS_EXCHANGE,
    Bind,
    Binding,
    DeclareExchange,
    DeclareQueue,
    Exchange,
    Queue,
    app_declarations,
)
from rmqwork._transport.port import Connector, Link
from rmqwork.errors import BrokerUnavailable, ConfigurationError, TopologyMismatch
from rmqwork.types import Verdict
from tests.contract.transports import Transport
from tests.contract.verbs import QUORUM, drain, message, verdicts


def whole_plan() -> list[object]:
    app = app_declarations(
        [
            Queue("orders", bindings=[Binding("events", "order.#")]),
            Queue("bounded", max_length=10, max_length_bytes=1 << 20),
            Queue("old", "classic", max_priority=9, message_ttl=60),
            Queue("match", bindings=[Binding("by-header", "", {"x-match": "any", "n": 1})]),
        ],
        [Exchange("events"), Exchange("by-header", "headers", alternate="events")],
    )
    twins = [
        d for name in ("events", TASKS_EXCHANGE) for d in delays.first_publish_declarations(name)
    ]
    return [*app, *delays.ladder_declarations(), *twins]


async def test_declaring_again_changes_nothing(connector: Connector, link: Link):
    plan = whole_plan()

    assert await link.declare(plan) == []  # type: ignore[arg-type]
    assert await link.declare(plan) == []  # type: ignore[arg-type]

    other = await connector.open("other")
    assert await other.declare(plan) == []  # type: ignore[arg-type]
    await other.close()


async def test_an_empty_plan_is_fine(link: Link):
    assert await link.declare([]) == []


async def test_each_queue_of_an_app_is_reached_by_its_name(link: Link):
    await link.declare(whole_plan())  # type: ignore[arg-type]
    publisher = await link.open_publishing()

    for queue in ("orders", "bounded", "old", "match"):
        assert await verdicts(publisher, message(queue, TASKS_EXCHANGE)) == [Verdict.CONFIRMED]
        await drain(link, queue, 1)
    assert await verdicts(publisher, message("order.new", "events")) == [Verdict.CONFIRMED]
    await drain(link, "orders", 1)


async def test_differences_that_suit_are_told_and_the_rest_is_declared(link: Link):
    theirs = DeclareQueue("q", {**QUORUM, "x-max-length": 10, "x-overflow": "reject-publish"})
    ours = DeclareQueue("q", {**QUORUM, "x-max-length": 20, "x-message-ttl": 5000})
    await link.declare([theirs])

    found = await link.declare(
        [
            DeclareQueue("before", QUORUM),
            ours,
            DeclareExchange("x", "direct"),
            Bind("x", "q", "k"),
        ]
    )

    assert {(d.name, d.attribute, d.ours, d.theirs) for d in found} == {
        ("q", "x-max-length", "20", "10"),
        ("q", "x-message-ttl", "5000", None),
        ("q", "x-overflow", None, "reject-publish"),
    }
    assert all(difference.suits for difference in found)
    publisher = await link.open_publishing()
    assert (
        await verdicts(publisher, message("k", "x"), message("before")) == [Verdict.CONFIRMED] * 2
    )


async def test_what_does_not_suit_is_a_mismatch_with_all_fields(link: Link):
    await link.declare(
        [
            DeclareQueue("q", {"x-queue-type": "classic", "x-message-ttl": 100}),
            DeclareExchange("x", "fanout"),
        ]
    )

    with pytest.raises(TopologyMismatch) as caught:
        await link.declare(
            [
                DeclareExchange("x", "topic"),
                DeclareQueue(
                    "q",
                    {
                        "x-queue-type": "quorum",
                        "x-dead-letter-exchange": "",
                        "x-dead-letter-routing-key": "q.dlq",
                        "x-message-ttl": 200,
                    },
                ),
            ]
        )

    text = str(caught.value)
    assert set(caught.value.differences) == {
        "exchange 'x': type is fanout on the broker, topic in the app",
        "queue 'q': x-queue-type is classic on the broker, quorum in the app",
        "queue 'q': x-dead-letter-exchange is absent on the broker,  in the app",
        "queue 'q': x-dead-letter-routing-key is absent on the broker, q.dlq in the app",
        "queue 'q': x-message-ttl is 100 on the broker, 200 in the app",
    }
    assert "q" in text
    assert "migrate" in text
    assert link.is_open


async def test_a_different_alternate_exchange_suits(link: Link):
    await link.declare([DeclareExchange("x", "topic", {"alternate-exchange": "a"})])

    found = await link.declare([DeclareExchange("x", "topic", {"alternate-exchange": "b"})])

    assert found == [Difference("exchange", "x", "alternate-exchange", "b", "a")]


async def test_binding_to_what_is_missing_names_it(link: Link):
    with pytest.raises(ConfigurationError, match=r"'x'.*'missing'"):
        await link.declare([DeclareExchange("x", "direct"), Bind("x", "missing", "k")])

    assert link.is_open


async def test_the_brokers_own_refusal_is_passed_on(link: Link):
    with pytest.raises(ConfigurationError, match=r"'q'.*x-max-length"):
        await link.declare([DeclareQueue("q", {**QUORUM, "x-max-length": "many"})])

    assert link.is_open


async def test_without_the_right_to_configure_what_exists_is_used(link: Link, transport: Transport):
    plan = app_declarations([Queue("q")])
    await link.declare(plan)

    with transport.restricted(configure="") as connector:
        theirs = await connector.open("restricted")

        assert await theirs.declare(plan) == []

        publisher = await theirs.open_publishing()
        assert await verdicts(publisher, message("q", TASKS_EXCHANGE)) == [Verdict.CONFIRMED]
        await theirs.close()


async def test_without_the_right_to_configure_what_is_missing_is_an_error(
    link: Link, transport: Transport
):
    await link.declare(app_declarations([Queue("q")]))

    with transport.restricted(configure="") as connector:
        theirs = await connector.open("restricted")

        with pytest.raises(ConfigurationError, match=r"'new\.dlq'.*configure right"):
            await theirs.declare(app_declarations([Queue("q"), Queue("new")]))

        assert theirs.is_open
        await theirs.close()
    assert await link.depth("new") is None


async def test_a_wrong_password_is_said_without_it(transport: Transport):
    with transport.restricted() as connector:
        link = await connector.open("right")
        await link.close()
    # Given that the user is deleted

    with pytest.raises(BrokerUnavailable, match="refused") as caught:
        await connector.open("wrong")

    assert ":***" not in str(caught.value)
    assert "@" in connector.label
    assert connector.label in str(caught.value)


async def test_the_server_says_who_it_is(link: Link, transport: Transport):
    assert link.server == transport.server
    version = ".".join(map(str, transport.server.version))
    assert str(link.server) == f"{transport.server.product} {version}"
    assert (link.is_open, link.blocked) == (True, False)
