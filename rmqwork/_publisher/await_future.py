"""Await futures of other threads: one wake-up of the loop for all that are done, one timer for all.

`asyncio.wrap_future`, `asyncio.shield` and `asyncio.wait_for` do the same for one future, with
three futures, a timer and a write to the loop's own pipe each: most of what a publish costs.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


async def wait(future: Future[T], timeout: float) -> T:
    """The result of a future that another thread sets. Who gives up waiting does not cancel it.

    Args:
        future: of any thread.
        timeout: seconds.

    Raises:
        TimeoutError: it was not done in time.
    """
    loop = asyncio.get_running_loop()
    waits = _of_loop.get(loop)
    if waits is None:
        waits = _of_loop[loop] = _Waits()
    waiter: asyncio.Future[T] = loop.create_future()
    waits.add(loop, waiter, loop.time() + timeout)
    future.add_done_callback(functools.partial(waits.done, loop, waiter))
    try:
        return await waiter
    finally:
        waits.remove(waiter)


class _Waits:
    """What is awaited in one loop. Holds no loop, whose lifetime it shares."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Future[Any], float] = {}
        self._done: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._armed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def add(
        self, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[Any], deadline: float
    ) -> None:
        """Wait until so late, in the loop's time."""
        self._open[waiter] = deadline
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._set_timer(loop, deadline)

    def remove(self, waiter: asyncio.Future[Any]) -> None:
        """Wait no more."""
        del self._open[waiter]
        if not self._open and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def done(
        self, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[Any], future: Future[Any]
    ) -> None:
        """A future is done; called in any thread."""
        self._done.append((waiter, future))
        if not self._armed:
            self._armed = True
            try:
                loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop is closed: nobody waits
                self._done.clear()

    def _wake(self) -> None:
        self._armed = False  # first: what comes from now on wakes again
        while self._done:
            waiter, future = self._done.popleft()
            if waiter.done():
                continue
            if future.cancelled():
                waiter.cancel()
            elif (error := future.exception()) is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(future.result())

    def _set_timer(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._timer_at = at
        self._timer = loop.call_at(at, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time() + 0.001
        pending = [(waiter, at) for waiter, at in self._open.items() if not waiter.done()]
        for waiter, at in pending:
            if at <= now:
                waiter.set_exception(TimeoutError())
        left = [at for _, at in pending if at > now]
        if left:
            self._set_timer(loop, min(left))


_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Waits] = weakref.WeakKeyDictionary()
