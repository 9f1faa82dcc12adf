"""Copies: dead letters of one queue with the same id, attempt and body.

A worker that dies between the confirm of a dead letter and the ack of its message leaves two; so
does a replay that is killed between the confirm of a message and the ack of its dead letter. They
are one failure: they count once, and are replayed once.
"""

from __future__ import annotations

from array import array
from typing import Final

from rmqwork._messages.dead_letter import DeadLetter

_SLOTS: Final = 1024
"""At the beginning; a power of 2, as ever."""


def copy_key(letter: DeadLetter, place: str | None = None) -> int | None:
    """The same number for copies of one letter; None for letters without an id.

    The body is part of it: the ids of foreign producers need not be unique, and an edited letter is
    another one.

    Args:
        letter: the letter.
        place: the queue that it lies in; None = as it says.
    """
    if not letter.id:
        return None
    where = place or letter.dead_letter_queue
    return hash((where, letter.queue, letter.id, letter.attempt, letter.body))


class Copies:
    """Which letters were seen. Memory: 11 to 32 bytes a letter, a third of a set's."""

    __slots__ = ("_count", "_slots")

    def __init__(self) -> None:
        self._slots = array("q", bytes(8 * _SLOTS))
        self._count = 0

    def again(self, letter: DeadLetter) -> bool:
        """Note a letter; true when it is a copy of one that was noted before."""
        key = copy_key(letter)
        return key is not None and not self._add(key or 1)

    def _add(self, number: int) -> bool:
        """Note a number that is not 0; false if it is there."""
        slots = self._slots
        last = len(slots) - 1
        at = number & last
        while there := slots[at]:
            if there == number:
                return False
            at = (at + 1) & last
        slots[at] = number
        self._count += 1
        if self._count * 4 > last * 3:
            self._grow()
        return True

    def _grow(self) -> None:
        slots, self._count = self._slots, 0
        self._slots = array("q", bytes(2 * slots.itemsize * len(slots)))
        for number in slots:
            if number:
                self._add(number)
