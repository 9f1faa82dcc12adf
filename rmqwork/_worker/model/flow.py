"""How much to hold: prefetch from the broker, and how much to send ahead to an executor.

Pure functions of what was measured, so that no worker hoards what another could start: deliveries
held beyond the tasks that run are worth at most a tenth of a second of work.
"""

from __future__ import annotations

from typing import Final

HORIZON: Final = 0.1
"""Seconds of work that may wait in this worker."""
MAX_PREFETCH: Final = 2000
_TO_CHOOSE_FROM: Final = 2
_AHEAD_HORIZON: Final = 0.01
_MAX_AHEAD: Final = 64
_FADE: Final = 0.9
_GROW: Final = 1.5
_SHRINK: Final = 0.4


def wanted_prefetch(slots: int, rate: float, mixed: bool = False) -> int:
    """How many unsettled deliveries a queue's consumer should have.

    Where tasks are long, nothing is held beyond those that run: the broker gives to its consumers
    in turn, to a busy one, too, if its prefetch has room, and what waits there could run elsewhere.

    Args:
        slots: tasks that this worker can run at once for the queue.
        rate: deliveries of the queue finished a second, lately.
        mixed: whether the worker has other queues, too, or the queue tasks for threads and for
            the event loop. Then something must be here to choose from when a slot becomes free, or
            queues could not be served by their order, and one lane's tasks would hide the other's.
    """
    headroom = max(_TO_CHOOSE_FROM if mixed else 0, round(rate * HORIZON))
    return max(1, min(MAX_PREFETCH, slots + headroom))


def changed_prefetch(current: int, wanted: int) -> int | None:
    """The prefetch to change to, or None when the change is not worth a new consumer."""
    if wanted >= current * _GROW or wanted < current * _SHRINK:
        return wanted
    return None


def ahead(slots: int, duration: float | None) -> int:
    """How many deliveries to send to an executor beyond its free slots.

    Short tasks are sent ahead, so that an executor does not wait for the pipe; long ones are not,
    so that any executor can take them.

    Args:
        slots: tasks at once in the executor.
        duration: seconds that a task took lately; None = not known yet.
    """
    if duration is None:
        return 0
    return min(_MAX_AHEAD, int(_AHEAD_HORIZON * slots / max(duration, 1e-5)))


class Average:
    """An exponentially weighted average; None until the first value."""

    __slots__ = ("_weight", "value")

    def __init__(self, weight: float = 0.1) -> None:
        self._weight = weight
        self.value: float | None = None

    def add(self, value: float) -> None:
        """Take in one value."""
        if self.value is None:
            self.value = value
        else:
            self.value += (value - self.value) * self._weight


class Throughput:
    """Deliveries settled a second, lately; falls slowly: a pause is not an end."""

    __slots__ = ("_count", "_rate")

    def __init__(self) -> None:
        self._count = 0
        self._rate = 0.0

    def add(self) -> None:
        """One more is settled."""
        self._count += 1

    def rate(self, interval: float) -> float:
        """The rate after another ``interval`` seconds."""
        count, self._count = self._count, 0
        self._rate = max(count / interval, self._rate * _FADE)
        return self._rate
