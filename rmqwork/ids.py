"""Ids of tasks: UUIDs of version 7 (RFC 9562), which sort by the time they were made."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

_COUNTER_BITS: Final = 42
_COUNTER_MASK: Final = (1 << _COUNTER_BITS) - 1


class _Clock:
    """The last id's millisecond and counter; ids of one process never repeat or go back."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Start with a new lock and a new random counter (in a forked child)."""
        self.lock = threading.Lock()
        self.milliseconds = 0
        self.counter = 0

    def tick(self) -> tuple[int, int]:
        """The next millisecond and counter (RFC 9562, section 6.2, method 1)."""
        with self.lock:
            now = time.time_ns() // 1_000_000
            if now > self.milliseconds:
                self.milliseconds = now
                self.counter = int.from_bytes(os.urandom(6), "big") >> 7  # the top bit is free
            else:  # same millisecond, or the clock was set back
                self.counter += 1
                if self.counter > _COUNTER_MASK:
                    self.milliseconds += 1
                    self.counter = 0
            return self.milliseconds, self.counter


_clock = _Clock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clock.begin_anew)


def uuid7() -> str:
    """A new id, as text; greater than all that this process has made before."""
    milliseconds, counter = _clock.tick()
    tail = int.from_bytes(os.urandom(4), "big")
    value = (
        milliseconds << 80
        | 0x7 << 76
        | counter >> 30 << 64
        | 0x2 << 62
        | (counter & 0x3FFFFFFF) << 32
    ) | tail
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
