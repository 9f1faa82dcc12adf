"""`PendingResult`: where what becomes known of one task arrives in this process."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from rmqwork._results.record import Record


class PendingResult:
    """The last word about one task, and the future of the final one.

    Args:
        task_id: which.
        run: which run of a chosen id (`rmqwork._messages.headers.RUN`); None = any.
    """

    __slots__ = ("__weakref__", "_lock", "final", "latest", "run", "task_id")

    def __init__(self, task_id: str, run: str | None = None) -> None:
        self.task_id = task_id
        self.run = run
        self.final: Future[Record] = Future()
        self.final.set_running_or_notify_cancel()  # who gives up waiting does not end it
        self.latest: Record | None = None
        self._lock = threading.Lock()

    def update(self, record: Record) -> bool:
        """Take in what became known; the first final word holds.

        Returns:
            whether it is of this run, or of a later one that has taken its place; a record of a
            worker that does not know of runs is taken as it is.
        """
        if self.run is not None and record.run and record.run < self.run:
            return False
        with self._lock:
            if not self.final.done():
                self.latest = record
                if record.final:
                    self.final.set_result(record)
        return True

    def fail(self, error: Exception) -> None:
        """Nothing will become known any more."""
        with self._lock:
            if not self.final.done():
                self.final.set_exception(error)

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self.final, self.latest = Future(), None
            self.final.set_running_or_notify_cancel()
