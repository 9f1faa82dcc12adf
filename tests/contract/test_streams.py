"""Streams, as far as control needs them: read by all, from the beginning or from now on."""

from __future__ import annotations

import asyncio

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.port import Connector, Link, PublishChannel
from rmqwork.types import Delivery, Publication
from tests.contract.verbs import publish

STREAM = DeclareQueue("log", {"x-queue-type": "stream", "x-max-length-bytes": 1 << 20})


def said(number: int) -> Publication:
    return Publication("", "log", b"%d" % number, f"id-{number}")


async def read(link: Link, offset: str, prefetch: int = 10) -> list[Delivery]:
    """What a new consumer gets; acked, so that more can come."""
    found: list[Delivery] = []
    channel = await link.open_consuming(lambda _: None)

    def deliver(delivery: Delivery) -> None:
        found.append(delivery)
        channel.ack(delivery)

    await channel.consume(
        "log",
        prefetch=prefetch,
        deliver=deliver,
        cancelled=lambda _: None,
        arguments={"x-stream-offset": offset},
    )
    return found


async def come(found: list[Delivery], count: int) -> list[bytes]:
    """Wait until so many have come."""
    async with asyncio.timeout(20):
        while len(found) < count:
            await asyncio.sleep(0.01)
    return [delivery.body for delivery in found]


async def test_everybody_reads_all_of_it_from_where_they_want(
    connector: Connector, link: Link, publisher: PublishChannel
):
    assert await link.declare([STREAM]) == []
    assert await link.declare([STREAM]) == []
    await publish(publisher, [said(number) for number in range(5)])

    first = await read(link, "first", prefetch=2)
    again = await read(link, "first")
    now = await read(link, "next")
    assert await come(first, 5) == await come(again, 5) == [b"0", b"1", b"2", b"3", b"4"]
    assert [delivery.headers["x-stream-offset"] for delivery in first] == [0, 1, 2, 3, 4]
    assert not any(delivery.redelivered for delivery in again)
    assert now == []

    await publish(publisher, [said(5)])
    assert await come(now, 1) == [b"5"]
    assert (await come(first, 6))[-1] == b"5"

    other = await connector.open("later")
    later = await read(other, "first")
    assert len(await come(later, 6)) == 6
    await other.close()
