"""Limits of queues."""

from __future__ import annotations

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork.types import Verdict
from tests.unit.transport.memory.links import QUORUM, link_to, message, publish, take


async def test_the_head_is_dropped_where_publishes_are_not_refused(broker: MemoryBroker):
    short = {"x-max-length": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d"}
    link = await link_to(broker, DeclareQueue("d", QUORUM), DeclareQueue("q", short))

    await publish(link, *(message("q", b"%d" % n) for n in range(4)))

    assert [d.body for d in await take(link, "q")] == [b"2", b"3"]
    dropped = await take(link, "d")
    assert [d.headers["x-first-death-reason"] for d in dropped] == ["maxlen"] * 2


async def test_a_limit_in_bytes_refuses(broker: MemoryBroker):
    limit = {"x-max-length-bytes": 10, "x-overflow": "reject-publish"}
    link = await link_to(broker, DeclareQueue("q", limit))

    answers = await publish(link, *(message("q", b"12345") for _ in range(3)))

    assert answers == [Verdict.CONFIRMED, Verdict.CONFIRMED, Verdict.NACKED]
