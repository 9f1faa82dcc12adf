"""Start marks: which deliveries an executor has started and not finished, in shared memory.

One slot of 16 bytes a thread or asyncio task: the delivery's number as uint64 (0 = idle), and
``time.monotonic()`` at its start as float64. The executor writes them without a system call, and
they outlive it: after its death the worker process reads what was running.

Each field is written by one aligned 8-byte store (an item of a cast `memoryview`), so a reader
never sees half a number. `time.monotonic()` is one clock for all processes of a machine.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import Final

SLOT_SIZE: Final = 16


def create(slots: int, more: int = 0) -> int:
    """A descriptor of anonymous shared memory for so many marks, all idle, and ``more`` bytes."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("rmqwork-marks", os.MFD_CLOEXEC)
    else:  # macOS: an unlinked file
        import tempfile

        fd, path = tempfile.mkstemp(prefix="rmqwork-marks-")
        os.unlink(path)
    os.ftruncate(fd, size(slots) + more)
    return fd


def size(slots: int) -> int:
    """The bytes of so many marks; what else is in the memory comes behind them."""
    return max(slots, 1) * SLOT_SIZE


class Marks:
    """The marks behind a descriptor; both processes map the same memory.

    Args:
        fd: from `create`; it may be closed afterwards.
        slots: how many marks.
    """

    def __init__(self, fd: int, slots: int) -> None:
        self._memory = mmap.mmap(fd, size(slots))
        view = memoryview(self._memory)
        self._numbers = view.cast("Q")
        self._starts = view.cast("d")
        self._slots = slots

    def start(self, slot: int, number: int) -> None:
        """Mark a delivery as started now; the time first, so that it is there with the number."""
        self._starts[slot * 2 + 1] = time.monotonic()
        self._numbers[slot * 2] = number

    def clear(self, slot: int) -> None:
        """Mark a slot as idle."""
        self._numbers[slot * 2] = 0

    def read(self) -> dict[int, float]:
        """The number of each delivery that is marked, and when it started."""
        numbers, starts = self._numbers, self._starts
        return {
            number: starts[slot * 2 + 1]
            for slot in range(self._slots)
            if (number := numbers[slot * 2])
        }

    def slot(self, number: int) -> int | None:
        """Which slot has a delivery's mark."""
        for slot in range(self._slots):
            if self._numbers[slot * 2] == number:
                return slot
        return None

    def close(self) -> None:
        """Unmap the memory."""
        self._numbers.release()
        self._starts.release()
        self._memory.close()
