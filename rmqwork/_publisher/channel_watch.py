"""Finds out, on a timer, that a channel confirms nothing, or not all."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from rmqwork._publisher.batch import Batch, Entry
from rmqwork._publisher.limits import Limits


class ChannelWatch:
    """Compares what a publisher waits for from one look to the next.

    A stall that follows another one soon has to last twice as long: a broker that is merely slow
    does not get everything again and again.

    Args:
        limits: of the publisher.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.interval = min(limits.stall, limits.unconfirmed) / 2
        """Seconds between two looks."""
        self._stall = limits.stall
        self._last_stall: float | None = None
        self._answers = -1
        self._since = 0.0
        self._scanned = 0.0
        self._first_seen: dict[Entry, float] = {}

    def reset(self, answers: int, now: float) -> None:
        """Begin anew: with another channel, after a rest, or while the broker takes nothing."""
        self._answers, self._since, self._scanned = answers, now, now
        self._first_seen.clear()

    def stalled(self, answers: int, now: float) -> bool:
        """Whether nothing was answered for too long, although something was waiting all the time.

        Args:
            answers: how many the publisher has had.
            now: the time.
        """
        last = self._last_stall
        if last is not None and now - last > max(self._limits.unconfirmed, 2 * self._stall):
            self._stall, self._last_stall = self._limits.stall, None
        if answers != self._answers:
            self._answers, self._since = answers, now
            return False
        if now - self._since < self._stall:
            return False
        self._stall = min(2 * self._stall, self._limits.unconfirmed)
        self._last_stall = now
        return True

    def oldest(self, overdue: Iterable[Entry], batches: Iterable[Batch], now: float) -> float:
        """Seconds for which one publication has waited, whatever else was answered."""
        if now - self._scanned < self._limits.unconfirmed / 4:
            return 0.0
        self._scanned, seen = now, self._first_seen
        found = chain(overdue, filter(None, map(oldest_in_window, batches)))
        self._first_seen = {entry: seen.get(entry, now) for entry in found}
        return now - min(self._first_seen.values(), default=now)


def oldest_in_window(batch: Batch) -> Entry | None:
    """The first publication of a call that waits for its confirm; they are sent in order."""
    for entry in batch.entries:
        if not entry.finished:
            return entry if entry.in_window else None
    return None
