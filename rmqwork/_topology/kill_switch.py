"""`KillSwitch`: take less from a queue whose tasks fail; the policy and its states. No I/O."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final

from rmqwork.errors import ConfigurationError

_PARTS: Final = 10
"""Into so many parts the window is divided; the oldest of them is forgotten at a time."""


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """When the tasks of a queue fail too often, a worker takes nothing from it for a while, then
    one message at a time, and when these succeed, all again. Each worker decides for itself.

    Args:
        ratio: of failures among the tasks that ended in the window, above 0 and up to 1.
        window: seconds that are looked at.
        least: outcomes in the window before it is judged at all.
        wait: seconds until the first message is tried; doubled after each one that fails.
        longest: seconds that are waited at most.
        probes: messages in a row that have to succeed.
    """

    ratio: float = 0.5
    window: float = 30.0
    least: int = 20
    wait: float = 5.0
    longest: float = 60.0
    probes: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.name in ("least", "probes")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise ConfigurationError(f"KillSwitch: {field.name} is a number, not {value!r}")
            if not 0 < value < math.inf:
                raise ConfigurationError(f"KillSwitch: {field.name} must be above 0")
        if self.ratio > 1:
            raise ConfigurationError(f"KillSwitch: ratio is at most 1, not {self.ratio:g}")


class State(Enum):
    """How much is taken from a queue."""

    FLOWING = "flowing"
    """All that can be done."""
    WAITING = "waiting"
    """Nothing, for a while."""
    PROBING = "probing"
    """One message at a time."""


class Switch:
    """The state of one queue's switch; whoever uses it tells it outcomes and the time.

    Args:
        policy: when it trips, and how it comes back.
        clock: seconds, of any origin.
    """

    def __init__(self, policy: KillSwitch, clock: Callable[[], float]) -> None:
        self.policy = policy
        self.state = State.FLOWING
        self.until = 0.0
        """When waiting ends."""
        self._clock = clock
        self._wait = policy.wait
        self._good = 0
        self._window: deque[list[float]] = deque()  # [beginning of the part, outcomes, failures]

    @property
    def failures(self) -> float:
        """The part of failures in the window, 0 to 1."""
        total = sum(part[1] for part in self._window)
        return sum(part[2] for part in self._window) / total if total else 0.0

    def ended(self, failed: bool) -> bool:
        """A task has ended while all flows; true when that trips the switch."""
        if self.state is not State.FLOWING:
            return False
        now, policy = self._clock(), self.policy
        length = policy.window / _PARTS
        if not self._window or now - self._window[-1][0] >= length:
            self._window.append([now, 0, 0])
        while now - self._window[0][0] >= policy.window:
            self._window.popleft()
        part = self._window[-1]
        part[1] += 1
        part[2] += failed
        total = sum(part[1] for part in self._window)
        if not failed or total < policy.least or self.failures < policy.ratio:
            return False
        self._wait = policy.wait
        self._begin_waiting()
        return True

    def due(self) -> bool:
        """Whether waiting has ended just now: from now on, one message at a time."""
        if self.state is not State.WAITING or self._clock() < self.until:
            return False
        self.state = State.PROBING
        self._good = 0
        return True

    def probed(self, failed: bool) -> State:
        """A probe has ended; returns the state that follows."""
        if self.state is State.PROBING:
            if failed:
                self._wait = min(self._wait * 2, max(self.policy.longest, self.policy.wait))
                self._begin_waiting()
            else:
                self._good += 1
                if self._good >= self.policy.probes:
                    self.state = State.FLOWING
        return self.state

    def _begin_waiting(self) -> None:
        self.state = State.WAITING
        self.until = self._clock() + self._wait
        self._window.clear()
