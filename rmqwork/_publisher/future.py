"""`ConfirmFuture`: a future that is cheap to make, to set and to wait for in another thread."""

from __future__ import annotations

import logging
from _thread import allocate_lock
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

_log = logging.getLogger("rmqwork.publisher")
T = TypeVar("T")


class ConfirmFuture(Future[T]):
    """A `concurrent.futures.Future` with one lock in place of a condition.

    Who publishes one message after another waits for each: a condition's queue of waiters and its
    three locks are then a good part of the time between two messages. Of its interface, what waits
    for several futures at once (`concurrent.futures.wait`) does not work with it; callbacks,
    ``asyncio.wrap_future`` and any number of waiting threads do. It cannot be cancelled: what was
    submitted is on its way.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Future[T]], object]] = []
        self._gate = allocate_lock()
        self._gate.acquire()  # open once there is an answer
        self._ended = False
        self._value: Any = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Answer {'given' if self._ended else 'open'}>"

    def done(self) -> bool:
        """Whether there is an answer."""
        return self._ended

    def cancel(self) -> bool:
        """Always false."""
        return False

    def cancelled(self) -> bool:
        """Always false."""
        return False

    def running(self) -> bool:
        """Whether there is no answer yet."""
        return not self._ended

    def set_running_or_notify_cancel(self) -> bool:
        """Always true."""
        return True

    def result(self, timeout: float | None = None) -> T:
        """The value.

        Args:
            timeout: seconds to wait for it; None = for ever.

        Raises:
            TimeoutError: there is none in time.
        """
        self._wait(timeout)
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The error, or None if there is a value; see `result`."""
        self._wait(timeout)
        return self._error

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call a function with this, once: in the thread that answers, or now."""
        self._callbacks.append(fn)
        if self._ended:
            self._call_back()

    def set_result(self, result: T) -> None:
        """Answer with a value."""
        self._value = result
        self._end()

    def set_exception(self, exception: BaseException | None) -> None:
        """Answer with an error."""
        self._error = exception or CancelledError()
        self._end()

    def _wait(self, timeout: float | None) -> None:
        if self._ended:
            return
        if not self._gate.acquire(True, -1 if timeout is None else max(0.0, timeout)):
            raise TimeoutError
        self._gate.release()  # for the next who waits

    def _end(self) -> None:
        self._ended = True
        self._gate.release()
        if self._callbacks:
            self._call_back()

    def _call_back(self) -> None:
        """Each callback is called by whoever takes it off the list."""
        while True:
            try:
                callback = self._callbacks.pop(0)
            except IndexError:
                return
            try:
                callback(self)
            except Exception:
                _log.exception("a callback of an answer failed")
