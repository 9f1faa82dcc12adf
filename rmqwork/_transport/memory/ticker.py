"""A thread that does what is due while the clock goes by itself, and ends when nothing is."""

from __future__ import annotations

import threading
from typing import Protocol


class Ticking(Protocol):
    """What has something due."""

    def now(self) -> float:
        """The time."""
        ...

    def tick(self) -> float | None:
        """Do what is due; returns when the next thing is."""


class Ticker:
    """Calls `Ticking.tick` when something is due."""

    def __init__(self, ticking: Ticking) -> None:
        self._ticking = ticking
        self._condition = threading.Condition()
        self._due: float | None = None
        self._runs = False

    def wake_at(self, moment: float) -> None:
        """Tick at this moment at the latest."""
        with self._condition:
            if self._runs:
                if self._due is None or moment < self._due:
                    self._due = moment
                    self._condition.notify()
                return
            self._runs, self._due = True, moment
        threading.Thread(target=self._run, name="rmqwork-memory", daemon=True).start()

    def _run(self) -> None:
        while self._wait():
            due = self._ticking.tick()
            if due is not None:
                with self._condition:
                    self._due = due if self._due is None else min(due, self._due)

    def _wait(self) -> bool:
        """Wait until something is due; false when nothing is, and the thread ends."""
        with self._condition:
            while self._due is not None:
                wait = self._due - self._ticking.now()
                if wait <= 0:
                    self._due = None
                    return True
                self._condition.wait(wait)
            self._runs = False
            return False
