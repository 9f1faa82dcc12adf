"""The main thread of an executor as one that runs tasks, and the signal handlers there."""

from __future__ import annotations

# `signal.getsignal` tries to make a member of an enum of each handler: 10 us, after each run.
import _signal  # type: ignore[import-not-found,unused-ignore]
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from rmqwork.types import Outcome

R = TypeVar("R")
_handler_of: Final[Callable[[int], Any]] = _signal.getsignal


class MainThreadSignals:
    """Gives each run the handlers that the lifespan has left of the signals that would end the
    process (SIGTERM and SIGINT come from outside), or that a task sends to itself for later
    (SIGALRM): a neighbour must not pay for them. All others are the process's."""

    def __init__(self) -> None:
        self.note()

    def note(self) -> None:
        """These handlers are to be kept from now on."""
        self._term = _handler_of(signal.SIGTERM)
        self._int = _handler_of(signal.SIGINT)
        self._alarm = _handler_of(signal.SIGALRM)

    def restore(self) -> None:
        """Undo what a run has changed, and take back its alarm."""
        if _handler_of(signal.SIGTERM) is not self._term:
            _set(signal.SIGTERM, self._term)
        if _handler_of(signal.SIGINT) is not self._int:
            _set(signal.SIGINT, self._int)
        if _handler_of(signal.SIGALRM) is not self._alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            _set(signal.SIGALRM, self._alarm)


def _set(number: int, handler: Any) -> None:
    """Set a handler; None is one that was not set from Python, which cannot be set again."""
    signal.signal(number, signal.SIG_DFL if handler is None else handler)


class _Job:
    """A run that a thread has handed to the main thread."""

    __slots__ = ("_done", "_outcome", "_run", "slot")

    def __init__(self, slot: int, run: Callable[[], Outcome]) -> None:
        self.slot = slot
        self._run = run
        self._done = threading.Event()
        self._outcome: Outcome | None = None

    def run(self) -> None:
        """Run it, in the main thread."""
        self._outcome = self._run()

    def end(self) -> None:
        """Let the thread that waits go on."""
        self._done.set()

    def outcome(self) -> Outcome:
        """Wait for the outcome."""
        self._done.wait()
        assert self._outcome is not None
        return self._outcome


class MainThread:
    """The main thread, as one that runs tasks.

    Args:
        after_run: called after each run; see `TaskThreads`.
    """

    def __init__(self, after_run: Callable[[], object]) -> None:
        self._after_run = after_run
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._free = threading.Lock()
        self.ident = threading.main_thread().ident
        self.slot: int | None = None
        """Whose task it runs."""

    def take(self, slot: int, run: Callable[[], Outcome]) -> _Job | None:
        """Give it something to run; None if it is busy."""
        if not self._free.acquire(blocking=False):
            return None
        job = _Job(slot, run)
        self.slot = slot
        self._jobs.put(job)
        return job

    def serve(self) -> None:
        """Run what it is given, until `end`."""
        while (job := self._jobs.get()) is not None:
            self.restored(job.run)
            self.slot = None
            self._free.release()
            job.end()

    def end(self) -> None:
        """No more comes."""
        self._jobs.put(None)

    def restored(self, run: Callable[[], R]) -> R:
        """Call a function, and undo what must not reach the next run.

        What a handler of a signal raises meanwhile would end the process: it is as if it had come
        before.
        """
        try:
            return run()
        finally:
            while True:
                try:
                    self._after_run()
                except BaseException:
                    continue
                break
