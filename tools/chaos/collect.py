"""Takes what lies in queues at the end, and writes it into the ledger before it acks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from rmqwork._messages.dead_letter import dead_letter
from rmqwork._topology.delays import LEVELS, level_name
from rmqwork._topology.topology import UNROUTABLE, dead_letter_queue
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import ChannelClosed, Link
from rmqwork.errors import RmqworkError
from rmqwork.types import Delivery
from tools.chaos.ledger import LedgerWriter


def take_dead_letters(url: str, queues: Iterable[str], ledger: LedgerWriter) -> int:
    """Take all dead letters of some queues; returns how many, or 0 when the broker is away."""

    def note(delivery: Delivery) -> None:
        letter = dead_letter(delivery, delivery.queue.removesuffix(".dlq"))
        reason = f"broker: {letter.reason}" if letter.by_broker else letter.reason
        text = f"{reason}: {letter.error_message[:200]}"
        ledger.dead(letter.id or "?", letter.attempt, text)

    names = [*map(dead_letter_queue, queues), UNROUTABLE]
    try:
        return asyncio.run(_take(url, names, note))
    except (RmqworkError, ChannelClosed, OSError):
        return 0


def take_what_is_left(url: str, queues: Iterable[str], ledger: LedgerWriter) -> int:
    """Take what still waits in the queues that workers read and in the delay queues."""
    names = [*queues, *map(level_name, range(LEVELS))]
    return asyncio.run(
        _take(url, names, lambda delivery: ledger.left(delivery.message_id or "?", delivery.queue))
    )


async def _take(url: str, names: Iterable[str], note: Callable[[Delivery], None]) -> int:
    link: Link = await connect([url]).open("chaos (collect)")
    try:
        present = [name for name in names if await link.depth(name) is not None]
        channel = await link.open_consuming(lambda _: None)
        count = 0
        for name in present:
            while (delivery := await channel.get(name)) is not None:
                note(delivery)
                channel.ack(delivery)
                count += 1
        await channel.synced()
        return count
    finally:
        await link.close()
