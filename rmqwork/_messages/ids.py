"""Ids of tasks: UUIDs of version 7 (RFC 9562), which sort by the time they were made."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

_COUNTER_BITS: Final = 42
_COUNTER_MASK: Final = (1 << _COUNTER_BITS) - 1
_LOW_BITS: Final = 30
_LOW_MASK: Final = (1 << _LOW_BITS) - 1
_RANDOM: Final = 4
"""Bytes of randomness at the end of each id."""
_RANDOM_KEPT: Final = 1024 * _RANDOM
"""So many are fetched at once: a system call for each id costs more than the id."""


class _Clock:
    """The last id's millisecond and counter; ids of one process never repeat or go back."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Start with a new lock, counter and randomness (in a forked child)."""
        self.lock = threading.RLock()
        self._busy = False
        self.milliseconds = 0
        self.counter = 0
        self._high = -1
        self._head = ""
        self._random = ""
        self._at = 0

    def next(self) -> str:
        """The next id: milliseconds, counter (RFC 9562, section 6.2, method 1), randomness."""
        with self.lock:
            if self._busy:  # this thread is at it: a signal handler or __del__ publishes
                return _Clock().next()
            self._busy = True
            try:
                now = time.time_ns() // 1_000_000
                if now > self.milliseconds:
                    self.milliseconds = now
                    self.counter = int.from_bytes(os.urandom(6), "big") >> 7  # the top bit is free
                    self._high = -1
                else:  # same millisecond, or the clock was set back
                    self.counter += 1
                    if self.counter > _COUNTER_MASK:
                        self.milliseconds += 1
                        self.counter = 0
                        self._high = -1
                high = self.counter >> _LOW_BITS
                if high != self._high:
                    self._high = high
                    self._head = _head(self.milliseconds, high)
                middle = f"{0x2 << _LOW_BITS | self.counter & _LOW_MASK:08x}"
                return f"{self._head}{middle[:4]}-{middle[4:]}{self._tail()}"
            finally:
                self._busy = False

    def _tail(self) -> str:
        if self._at == len(self._random):
            self._random, self._at = os.urandom(_RANDOM_KEPT).hex(), 0
        at = self._at
        self._at = at + 2 * _RANDOM
        return self._random[at : self._at]


def _head(milliseconds: int, high: int) -> str:
    """The first three groups, with the hyphens after them."""
    text = f"{milliseconds << 16 | 0x7 << 12 | high:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:]}-"


_clock = _Clock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clock.begin_anew)


def uuid7() -> str:
    """A new id, as text; greater than all that this process has made before."""
    return _clock.next()
