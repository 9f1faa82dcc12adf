"""Put exported dead letters back into their dead-letter queues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rmqwork._admin.deadletters.confirmed_publish import Confirming
from rmqwork._admin.deadletters.duplicates import copy_key
from rmqwork._admin.deadletters.queue_names import place_of
from rmqwork._admin.deadletters.reading import ascan
from rmqwork._admin.deadletters.replay_message import published_as
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._topology.topology import UNROUTABLE
from rmqwork._transport.port import Connector
from rmqwork.errors import RmqworkError
from rmqwork.types import Publication

_WINDOW: Final = 200


@dataclass(slots=True)
class Imported:
    """What an import came to.

    Args:
        published: letters that are in their dead-letter queues again.
        there: letters that were there already: the same id, attempt and body.
    """

    published: int = 0
    there: int = 0


async def import_all(
    connector: Connector,
    letters: Sequence[DeadLetter],
    to: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Publish letters to the dead-letter queues that they were read from, confirmed.

    What is there already is left out, so that an import that broke off can be run again.

    Args:
        connector: of the broker.
        letters: from `rmqwork._admin.deadletters.records.from_line`.
        to: the queue as whose dead letters they go; None = as they were.
        progress: told how many are done.

    Raises:
        BrokerUnavailable, BrokerBlocked, PublishTimeout: some may have arrived; run it again.
        RmqworkError: a dead-letter queue does not exist.
    """
    done = Imported()
    places = list(dict.fromkeys(_place(letter, to) for letter in letters))
    there: set[int] = set()

    def note(letter: DeadLetter) -> None:
        key = copy_key(letter)
        if key is not None:
            there.add(key)

    await ascan(connector, places, note)
    new = []
    for letter in letters:
        place = _place(letter, to)
        key = copy_key(letter, place)
        if key is not None and key in there:
            done.there += 1
        else:
            new.append(_back(letter, place))
    link = await connector.open("rmqwork dlq import")
    try:
        confirming = Confirming(link)
        for start in range(0, len(new), _WINDOW):
            part = new[start : start + _WINDOW]
            refusals = await confirming.publish(part)
            done.published += refusals.count(None)
            for publication, refusal in zip(part, refusals, strict=True):
                if refusal is not None:
                    raise RmqworkError(
                        f"{publication.message_id} was not imported: {refusal.why}; "
                        f"{done.published} were, run it again when that is mended"
                    )
            if progress is not None:
                progress(done.published + done.there)
    finally:
        await link.close()
    return done


def _place(letter: DeadLetter, to: str | None) -> str:
    return letter.dead_letter_queue if to is None else place_of(to)


def _back(letter: DeadLetter, place: str) -> Publication:
    if place == UNROUTABLE:  # where it was to go is all that its route tells
        return published_as(letter, UNROUTABLE, letter.routing_key, dict(letter.headers))
    return published_as(letter, "", place, dict(letter.headers))
