"""Time limits of tasks that run in threads: an exception raised in the thread from outside."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from typing import Final

from rmqwork.types import TimeLimitReached

log = logging.getLogger("rmqwork.worker")

UNRESPONSIVE_AFTER: Final = 2.0
"""Seconds after which a task that did not stop at its limit is named in the log."""

_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)
_raise_in.restype = ctypes.c_int
_NOTHING: Final = ctypes.py_object()  # NULL: takes back what is not yet raised


class Limit:
    """One run of the calling thread under a time limit, from now on.

    Args:
        seconds: the limit.
        label: of the run, for the log.
    """

    __slots__ = ("_active", "_lock", "due", "fired_at", "label", "seconds", "thread_id", "told")

    def __init__(self, seconds: float, label: str) -> None:
        self.seconds = seconds
        self.label = label
        self.due = time.monotonic() + seconds
        self.thread_id = threading.get_ident()
        self.fired_at: float | None = None
        self.told = False
        self._active = True
        self._lock = threading.Lock()

    def end(self) -> None:
        """The run is over: nothing is raised after this has returned.

        The exception may still come inside this call; call it again then (it comes once).
        """
        with self._lock:
            self._active = False
        if self.fired_at is not None:
            # Set, and perhaps not yet seen: take it back. If it has been seen, this does nothing.
            _raise_in(self.thread_id, _NOTHING)

    def fire(self, now: float) -> None:
        """Raise `TimeLimitReached` in the thread, unless its run is over."""
        with self._lock:
            if self._active and self.fired_at is None:
                self.fired_at = now
                _raise_in(self.thread_id, TimeLimitReached)


class Watchdog:
    """Watches the runs of all task threads; its thread starts with the first limit.

    Args:
        slots: how many threads there are.
    """

    def __init__(self, slots: int) -> None:
        self._limits: list[Limit | None] = [None] * slots
        self._changed = threading.Condition()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    def watch(self, slot: int, limit: Limit) -> None:
        """Watch a run; `TimeLimitReached` may come in its thread even before this returns."""
        self._limits[slot] = limit
        if limit.due < self._wakes_at:
            with self._changed:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._watch, name="rmqwork-limits", daemon=True
                    )
                    self._thread.start()
                self._wakes_at = min(self._wakes_at, limit.due)
                self._changed.notify()

    def end(self, slot: int, limit: Limit) -> None:
        """The run is over; see `Limit.end`."""
        limit.end()
        self._limits[slot] = None

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                if self._wakes_at > now:
                    wait = self._wakes_at - now
                    self._changed.wait(wait if wait < threading.TIMEOUT_MAX else None)
                    continue
                # First forget, then scan: a limit that starts now is in the scan, or it notifies.
                self._wakes_at = float("inf")
            dues = [self._look(limit) for limit in list(self._limits) if limit is not None]
            with self._changed:
                self._wakes_at = min([self._wakes_at, *dues])

    def _look(self, limit: Limit) -> float:
        """Do what is due for one run; returns when to look again."""
        now = time.monotonic()
        if limit.fired_at is None:
            if limit.due > now:
                return limit.due
            limit.fire(now)
            return now + UNRESPONSIVE_AFTER
        if limit.told:
            return float("inf")
        if now < limit.fired_at + UNRESPONSIVE_AFTER:
            return limit.fired_at + UNRESPONSIVE_AFTER
        limit.told = True
        log.warning(
            "%s has not stopped %g s after its time_limit of %g s: it is inside C code, waits for a"
            " lock, or catches BaseException; only hard_time_limit ends such a task",
            limit.label,
            UNRESPONSIVE_AFTER,
            limit.seconds,
        )
        return float("inf")
