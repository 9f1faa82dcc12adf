"""Read dead letters; nothing is removed, and their order stays.

All messages of a queue are taken, the consumer is cancelled, and they are handed back in the order
in which they came (`rmqwork._admin.deadletters.snapshot`). For that moment (a few seconds for
100,000) another reader of the same queue does not see them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from rmqwork._admin.deadletters.queue_names import check_readable, home_of, place_of
from rmqwork._admin.deadletters.selection import Selection
from rmqwork._admin.deadletters.snapshot import QueueSnapshot
from rmqwork._messages.dead_letter import DeadLetter, dead_letter
from rmqwork._transport.port import ChannelClosed, Connector, Link, QueueDepth
from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.types import Delivery

_ACCESS_REFUSED: Final = 403


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look into one dead-letter queue came to.

    Args:
        dead_letter_queue: its name.
        exists: whether there is such a queue.
        waiting: ready messages when the reading began.
        read: how many of them were seen; fewer when ``limit`` is lower, or others read them too.
    """

    dead_letter_queue: str
    exists: bool
    waiting: int
    read: int


Visit = Callable[[DeadLetter], object]


def read(
    connector: Connector,
    queues: Sequence[str],
    limit: int | None = None,
    selection: Selection | None = None,
) -> list[DeadLetter]:
    """The dead letters of some queues, in the order of their queues; removes nothing.

    All are in memory at once; for many, see `scan`.

    Args:
        connector: of the broker.
        queues: names of the queues whose dead letters are wanted (``orders``, or ``orders.dlq``);
            ``rmqwork.unroutable`` and ``orders.suspects`` are read themselves.
        limit: at most so many of each queue; None = all.
        selection: only those; None = all.

    Raises:
        BrokerUnavailable: no connection, or it was lost meanwhile.
        ConfigurationError: a queue cannot be read.
    """
    return asyncio.run(aread(connector, queues, limit, selection))


async def aread(
    connector: Connector,
    queues: Sequence[str],
    limit: int | None = None,
    selection: Selection | None = None,
) -> list[DeadLetter]:
    """`read`, for asyncio."""
    letters: list[DeadLetter] = []
    await ascan(connector, queues, letters.append, limit, selection)
    return letters


def scan(
    connector: Connector,
    queues: Sequence[str],
    visit: Visit,
    limit: int | None = None,
    selection: Selection | None = None,
) -> list[Reading]:
    """Show each dead letter to ``visit``, one by one; no more than one is in memory.

    Args:
        connector: of the broker.
        queues: as in `read`.
        visit: called with each; what it raises ends the reading, and is raised here.
        limit: at most so many of each queue; None = all.
        selection: only those; None = all.

    Returns:
        what each queue's reading came to.

    Raises:
        BrokerUnavailable: no connection, or it was lost meanwhile.
        ConfigurationError: a queue cannot be read.
    """
    return asyncio.run(ascan(connector, queues, visit, limit, selection))


async def ascan(
    connector: Connector,
    queues: Sequence[str],
    visit: Visit,
    limit: int | None = None,
    selection: Selection | None = None,
) -> list[Reading]:
    """`scan`, for asyncio."""
    link = await connector.open("rmqwork dlq")
    try:
        wanted = selection or Selection()
        return [await _scan(link, place_of(queue), visit, limit, wanted) for queue in queues]
    finally:
        await link.close()


async def _scan(
    link: Link, place: str, visit: Visit, limit: int | None, selection: Selection
) -> Reading:
    shown = 0
    home = home_of(place)

    def arrived(delivery: Delivery) -> None:
        nonlocal shown
        if limit is None or shown < limit:
            letter = dead_letter(delivery, home)
            if selection.takes(letter):
                shown += 1
                visit(letter)

    async with reading_of(place):
        depth = await ready(link, place)
        if depth is None:
            return Reading(place, False, 0, 0)
        if depth.messages == 0 or limit == 0:
            return Reading(place, True, depth.messages, 0)
        window = QueueSnapshot(link, place, arrived)
        try:
            await window.take(depth.messages)
        finally:
            await window.close()
    if selection.everything:
        return Reading(place, True, depth.messages, shown)
    return Reading(place, True, depth.messages, window.taken)


async def ready(link: Link, place: str) -> QueueDepth | None:
    """What waits in a queue that may be read; None when there is no such queue.

    Raises:
        ConfigurationError: see `check_readable`.
    """
    check_readable(place, link.server)
    return await link.depth(place)


@asynccontextmanager
async def reading_of(place: str, rest: str = "nothing was removed") -> AsyncIterator[None]:
    """Say in words what it means when the channel or the connection ends.

    Args:
        place: the queue.
        rest: what became of its letters then.

    Raises:
        BrokerUnavailable: the connection was lost.
        ConfigurationError: this user may not read the queue.
    """
    try:
        yield
    except ChannelClosed as closed:
        if closed.code == _ACCESS_REFUSED:
            raise ConfigurationError(
                f"queue {place!r} cannot be read: {closed.text}; give this user the read right"
            ) from closed
        raise BrokerUnavailable(
            f"the connection was lost while reading {place!r}: {closed}; {rest}, run it again"
        ) from closed
