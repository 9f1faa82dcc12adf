"""Connections to a broker in memory."""

from __future__ import annotations

import asyncio

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork.types import Delivery
from tests.unit.transport.memory.links import QUORUM, link_to, message, publish, take


async def test_publishers_are_blocked_and_told_so(broker: MemoryBroker):
    link = await link_to(broker)
    told: list[bool] = []
    link.on_blocked(told.append)

    broker.block_publishers(True)
    await link.turn()
    assert (link.blocked, told) == (True, [True])
    assert (await MemoryConnector(broker).open("later")).blocked

    broker.block_publishers(False)
    await link.turn()
    assert (link.blocked, told) == (False, [True, False])


def test_a_loop_that_was_closed_gives_back_what_it_held(broker: MemoryBroker):
    async def hold() -> None:
        link = await link_to(broker, DeclareQueue("q", QUORUM))
        channel = await link.open_consuming(print)
        await channel.consume("q", prefetch=1, deliver=print, cancelled=print)

    async def use() -> list[Delivery]:
        link = await link_to(broker)
        await publish(link, message("q"))
        return await take(link, "q")

    asyncio.run(hold())

    assert len(asyncio.run(use())) == 1
    assert len(broker.links) == 1  # the second one, which nobody has closed either
