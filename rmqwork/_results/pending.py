"""`PendingResult`: where what becomes known of one task arrives in this process."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from rmqwork._results.record import Record


class PendingResult:
    """The last word about one task, and the future of the final one.

    Args:
        task_id: which.
    """

    __slots__ = ("__weakref__", "_lock", "final", "latest", "task_id")

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.final: Future[Record] = Future()
        self.final.set_running_or_notify_cancel()  # who gives up waiting does not end it
        self.latest: Record | None = None
        self._lock = threading.Lock()

    def update(self, record: Record) -> None:
        """Take in what became known; the first final word holds."""
        with self._lock:
            if self.final.done():
                return
            self.latest = record
            if record.final:
                self.final.set_result(record)

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
