"""The time of a broker in memory: the real one, or one that a test moves."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """When things are due."""

    @property
    def moves(self) -> bool:
        """Whether it moves by itself."""
        ...

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of the process's own clock."""
        ...

    def now(self) -> float:
        """Seconds since some moment."""
        ...


class RealClock:
    """Goes as all clocks do."""

    moves = True
    ahead = 0.0

    def now(self) -> float:
        """See `Clock`."""
        return time.monotonic()


class ManualClock:
    """Stands still until it is moved.

    Attributes:
        ahead: seconds by which it has been moved.
    """

    moves = False

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """Seconds by which it has been moved."""
        return self.ahead

    def move_to(self, moment: float) -> None:
        """Move it, forwards."""
        self.ahead = max(self.ahead, moment)
