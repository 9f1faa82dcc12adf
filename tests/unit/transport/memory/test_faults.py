"""Faults that a test orders."""

from __future__ import annotations

import asyncio

import pytest

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork.errors import BrokerUnavailable
from rmqwork.types import Verdict
from tests.unit.transport.memory.links import QUORUM, link_to, message, publish


async def test_ordered_faults_happen_once_and_where_they_should(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM), DeclareQueue("other", QUORUM))
    broker.faults.next_publish("returned", where=lambda p: p.routing_key == "q")
    broker.faults.next_publish("nacked", times=2)

    answers = await publish(link, *(message(q) for q in ("other", "q", "other", "q", "other")))

    assert [answer.value for answer in answers] == [
        "nacked",
        "returned",
        "nacked",
        "confirmed",
        "confirmed",
    ]
    assert broker.faults.happened == ["nacked", "returned", "nacked"]
    with pytest.raises(ValueError, match="eaten"):
        broker.faults.next_publish("eaten")  # type: ignore[arg-type]


async def test_a_lost_publish_has_arrived_and_its_connection_is_gone(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    lost: list[str] = []
    link.on_lost(lost.append)
    channel = await link.open_publishing()
    answers: list[Verdict] = []
    broker.faults.next_publish("lost")

    for _ in range(2):
        channel.publish(message("q"), lambda verdict, _: answers.append(verdict))
    await asyncio.sleep(0)

    assert answers == [Verdict.LOST] * 2
    assert len(lost) == 1
    assert len(broker.queues["q"]) == 1


@pytest.mark.parametrize("operations", [0, 1, 2])
async def test_the_connection_drops_at_the_nth_operation(broker: MemoryBroker, operations: int):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    channel = await link.open_publishing()
    answers: list[Verdict] = []

    broker.faults.drop_connection(after=operations)
    for _ in range(4):
        channel.publish(message("q"), lambda verdict, _: answers.append(verdict))
    await asyncio.sleep(0)

    assert sorted(a.value for a in answers) == sorted(
        ["confirmed"] * operations + ["lost"] * (4 - operations)
    )
    assert len(broker.queues["q"]) == operations
    assert not link.is_open


async def test_nobody_connects_while_connections_are_refused(broker: MemoryBroker):
    broker.faults.refuses_connections = True
    with pytest.raises(BrokerUnavailable, match="memory://unit"):
        await MemoryConnector(broker).open("unit")

    broker.faults.clear()
    assert (await MemoryConnector(broker).open("unit")).is_open
