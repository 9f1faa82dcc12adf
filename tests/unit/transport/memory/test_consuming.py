"""Who is served, and in which order."""

from __future__ import annotations

import pytest

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork.types import Delivery
from tests.unit.transport.memory.links import QUORUM, link_to, message, publish


async def test_a_higher_consumer_priority_is_served_first(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    low: list[Delivery] = []
    high: list[Delivery] = []
    channel = await link.open_consuming(print)
    for inbox, priority in ((low, 0), (high, 5)):
        await channel.consume(
            "q",
            prefetch=2,
            deliver=inbox.append,
            cancelled=print,
            arguments={"x-priority": priority},
        )

    await publish(link, *(message("q", b"%d" % n) for n in range(3)))

    assert ([d.body for d in high], [d.body for d in low]) == ([b"0", b"1"], [b"2"])


async def test_a_queue_with_one_active_consumer_refuses_get(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", {**QUORUM, "x-single-active-consumer": True}))
    channel = await link.open_consuming(print)

    with pytest.raises(Exception, match="single active consumer"):
        await channel.get("q")

    assert link.is_open
    assert not channel.is_open
