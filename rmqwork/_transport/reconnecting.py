"""Connect again and again: jittered waits that grow, until cancelled or stopped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Protocol, Self

STABLE: Final = 5.0
"""Seconds after which a connection that ends was a good one: the next is tried soon."""
_FIRST_WAIT: Final = 0.1
_MAX_WAIT: Final = 5.0


class Clock(Protocol):
    """Time, as far as connecting again is concerned."""

    def now(self) -> float:
        """Return seconds that only grow."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this time."""


class SystemClock:
    """The time of this machine."""

    def now(self) -> float:
        """Return seconds that only grow."""
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after this time."""
        await asyncio.sleep(seconds)


SYSTEM_CLOCK: Final = SystemClock()


def backoff(attempt: int) -> float:
    """Return the seconds to wait before the next attempt: doubled each time up to 5 s, jittered.

    Args:
        attempt: how many have failed in a row.
    """
    most = min(_MAX_WAIT, _FIRST_WAIT * 2 ** min(attempt, 10))
    return random.uniform(_FIRST_WAIT / 2, most)


class Reconnecting:
    """An iteration over attempts, for ever, with a wait between one and the next.

    Its items are the numbers of attempts that have failed in a row::

        async for failed in Reconnecting():
            try:
                await connected_until_it_ends()
            except BrokerUnavailable as error:
                ...

    Args:
        clock: says how long an attempt took, and waits.
        stopped: true ends the iteration.
        needed: awaited before each attempt; returns when somebody needs a connection.
    """

    def __init__(
        self,
        clock: Clock = SYSTEM_CLOCK,
        *,
        stopped: Callable[[], bool] = lambda: False,
        needed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._clock = clock
        self._stopped = stopped
        self._needed = needed
        self._began: float | None = None
        self._failed = 0
        self._wait: float | None = None

    def wait(self, seconds: float) -> None:
        """Wait so long before the next attempt, instead of what `backoff` says."""
        self._wait = seconds

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        if self._began is not None and not self._stopped():
            stable = self._clock.now() - self._began > STABLE
            self._failed = 0 if stable else self._failed + 1
            wait, self._wait = self._wait, None
            await self._clock.sleep(backoff(self._failed) if wait is None else wait)
        if self._stopped():
            raise StopAsyncIteration
        if self._needed is not None:
            await self._needed()
        self._began = self._clock.now()
        return self._failed
