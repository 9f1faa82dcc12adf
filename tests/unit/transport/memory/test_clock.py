"""The broker's clock: moved by a test, or going by itself."""

from __future__ import annotations

import asyncio
import time

import pytest

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from tests.unit.transport.memory.links import QUORUM, SURE, link_to, message, publish, take


async def test_the_clock_moves_messages_in_their_order(broker: MemoryBroker):
    """Given queues with one time to live each, then one move of the clock takes all their steps."""
    late = DeclareQueue("late", {**SURE, "x-message-ttl": 9000, "x-dead-letter-routing-key": "q"})
    soon = DeclareQueue("soon", {**SURE, "x-message-ttl": 50, "x-dead-letter-routing-key": "late"})
    link = await link_to(broker, DeclareQueue("q", QUORUM), late, soon)
    await publish(link, message("late", b"1"), message("soon", b"2"))

    assert broker.next_due() == pytest.approx(0.05)
    broker.advance(8.99)
    assert await take(link, "q") == []
    broker.advance(0.01)
    assert [d.body for d in await take(link, "q")] == [b"1"]
    broker.advance(0.05)
    [delivery] = await take(link, "q")

    deaths = delivery.headers["x-death"]
    assert [(d["queue"], d["reason"]) for d in deaths] == [  # type: ignore[union-attr,index,call-overload,attr-defined]
        ("late", "expired"),
        ("soon", "expired"),
    ]
    assert broker.next_due() is None


async def test_a_real_clock_cannot_be_moved_and_goes_by_itself():
    broker = MemoryBroker("goes")
    expiring = {**SURE, "x-message-ttl": 30, "x-dead-letter-routing-key": "q"}
    link = await link_to(broker, DeclareQueue("q", QUORUM), DeclareQueue("t", expiring))
    with pytest.raises(TypeError, match="by itself"):
        broker.advance(1)

    await publish(link, message("t"))

    assert await asyncio.to_thread(broker.wait_until, lambda: len(broker.queues["q"]) == 1, 5.0)


async def test_moments_in_headers_follow_the_clock(broker: MemoryBroker):
    """An expiry in 60 s is 59 s away after a second by the broker's clock; also after an hour."""
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    broker.advance(3600)
    at = round(time.time() * 1000) + 60_000
    sent = message("q", headers={"rmqwork-expires-at": at, "mine": at}, timestamp=1_700_000_000)
    await publish(link, sent)

    broker.advance(1)

    [delivery] = await take(link, "q")
    assert delivery.headers["rmqwork-expires-at"] == at - 1000
    assert delivery.headers["mine"] == at
    assert delivery.timestamp == 1_700_000_000 - 1
