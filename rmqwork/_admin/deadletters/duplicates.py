"""Copies: dead letters of one queue with the same id, attempt and body.

A worker that dies between the confirm of a dead letter and the ack of its message leaves two; so
does a replay that is killed between the confirm of a message and the ack of its dead letter. They
are one failure: they count once, and are replayed once.
"""

from __future__ import annotations

from rmqwork._messages import headers as names
from rmqwork._messages.dead_letter import DeadLetter


def copy_key(letter: DeadLetter, place: str | None = None) -> int | None:
    """The same number for copies of one letter; None for letters without an id.

    The run of a chosen id is part of it. So is the body: the ids of foreign producers need not be
    unique, and an edited letter is another one.

    Args:
        letter: the letter.
        place: the queue that it lies in; None = as it says.
    """
    if not letter.id:
        return None
    where = place or letter.dead_letter_queue
    run = str(letter.headers.get(names.RUN))
    return hash((where, letter.queue, letter.id, run, letter.attempt, letter.body))
