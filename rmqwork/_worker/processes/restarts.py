"""How long to wait before a process that died is replaced."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

_QUICK_DEATH: Final = 5.0
_FREE: Final = 3
"""Deaths in a row of which nobody waits after the first ones."""
_FIRST_DELAY: Final = 0.1
_MAX_DELAY: Final = 10.0


class Restarts:
    """Tells the wait before a replacement: none at first, then doubled while processes die young.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._young = 0
        self._last = float("-inf")

    def delay(self) -> float:
        """Return the seconds to wait after a death now."""
        now = self._clock()
        self._young = self._young + 1 if now - self._last < _QUICK_DEATH else 0
        delay = 0.0
        if self._young >= _FREE:
            delay = min(_MAX_DELAY, _FIRST_DELAY * 2.0 ** (self._young - _FREE))
        self._last = now + delay  # when the next one starts: the wait is no part of its life
        return delay
