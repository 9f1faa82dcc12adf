"""Remove dead letters for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rmqwork._admin.deadletters.queue_names import home_of, place_of
from rmqwork._admin.deadletters.reading import reading_of, ready
from rmqwork._admin.deadletters.selection import Selection
from rmqwork._admin.deadletters.snapshot import QueueSnapshot, without_body
from rmqwork._messages.dead_letter import DeadLetter, dead_letter
from rmqwork._transport.port import Connector, Link
from rmqwork.types import Delivery

_BATCH_SIZE: Final = 1000


def seen_as(letter: DeadLetter) -> int:
    """A number by which a letter that was looked at is known again."""
    place = (letter.dead_letter_queue, letter.id, letter.attempt, letter.at)
    return hash((place, letter.body, letter.error_message))


async def purge_all(
    connector: Connector,
    queues: Sequence[str],
    selection: Selection,
    seen: frozenset[int] | None = None,
) -> int:
    """Remove what is meant, copies included; returns how many messages that were.

    Args:
        connector: of the broker.
        queues: as for `rmqwork.deadletters.read`.
        selection: which letters.
        seen: only those (`seen_as`), which somebody has looked at and agreed to; None = all.

    Raises:
        BrokerUnavailable: the connection was lost; some may have been removed.
        ConfigurationError: a queue cannot be read.
    """
    link = await connector.open("rmqwork dlq purge")
    try:
        return sum([await _purge(link, place_of(queue), selection, seen) for queue in queues])
    finally:
        await link.close()


async def _purge(link: Link, place: str, selection: Selection, seen: frozenset[int] | None) -> int:
    home = home_of(place)
    selected: list[Delivery] = []

    def arrived(delivery: Delivery) -> None:
        letter = dead_letter(delivery, home)
        if selection.takes(letter) and (seen is None or seen_as(letter) in seen):
            selected.append(without_body(delivery))

    async with reading_of(place, "some may be removed"):
        depth = await ready(link, place)
        if depth is None or not depth.messages:
            return 0
        window = QueueSnapshot(link, place, arrived)
        try:
            await window.take(depth.messages)
            for start in range(0, len(selected), _BATCH_SIZE):
                await window.settle(selected[start : start + _BATCH_SIZE])
        finally:
            await window.close()
    return len(selected)
