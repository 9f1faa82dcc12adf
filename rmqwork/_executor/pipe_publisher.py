"""Publishing from inside a task: through the pipe to the worker process's connection."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from rmqwork._executor.control_writer import ControlWriter
from rmqwork._worker.ipc.wire import publication_tuple, published_of
from rmqwork.errors import PublishError, PublishTimeout
from rmqwork.types import Publication

ANSWER_TIMEOUT: Final = 5.0
"""Seconds beyond a request's own timeout that the worker process may take to answer."""


@dataclass(slots=True)
class _Request:
    future: Future[list[PublishError | None]]
    ids: list[str]
    expires: float


class PipePublisher:
    """A `rmqwork._transport.port.PublishPort` over the executor's control socket.

    The connection, its confirms and its heartbeats stay in the worker process; so a task that
    holds the GIL cannot cost it, and a publish returns on the worker's confirm.
    """

    in_worker = True
    """A task that waits for another task here holds a place that the other may need."""

    def __init__(self, writer: ControlWriter) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._requests: dict[int, _Request] = {}
        self._numbers = itertools.count(1)
        self._gone: str | None = None

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        """Publish; from any thread. See `rmqwork._transport.port.PublishPort.submit`."""
        if self._writer.disowned:
            raise PublishError(
                "this process was forked by a task: it cannot publish through the worker's"
                " connection; publish in the task itself, or start the process by spawn"
            )
        future: Future[list[PublishError | None]] = Future()
        future.set_running_or_notify_cancel()  # what is on its way cannot be cancelled
        ids = [publication.message_id for publication in publications]
        number = next(self._numbers)
        request = _Request(future, ids, time.monotonic() + timeout + ANSWER_TIMEOUT)
        with self._lock:
            gone = self._gone
            if gone is None:
                self._requests[number] = request
        if gone is not None:
            future.set_result([PublishError(gone, task_id=task_id) for task_id in ids])
            return future
        values = [publication_tuple(publication) for publication in publications]
        try:
            self._writer.send((("publish", number, values, timeout),))
        except ValueError as error:  # marshal: a value of the headers is not a plain one
            with self._lock:
                self._requests.pop(number, None)
            raise PublishError(f"a header cannot be sent: {error}; use text and numbers") from error
        return future

    def close(self, timeout: float) -> int:
        """Wait for what was submitted; returns how many publications have no answer."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with self._lock:
                if not self._requests:
                    return 0
            time.sleep(0.01)
        with self._lock:
            return sum(len(request.ids) for request in self._requests.values())

    def published(self, number: int, values: Any) -> None:
        """Take the worker process's answer to a request (called by the control thread)."""
        with self._lock:
            request = self._requests.pop(number, None)
        if request is None:  # it has expired
            return
        try:
            results = published_of(values, request.ids)
        except Exception as error:
            request.future.set_exception(error)
        else:
            request.future.set_result(results)

    def expire(self, now: float) -> None:
        """End the requests that had no answer in time (called by the control thread)."""
        if not self._requests:
            return
        with self._lock:
            numbers = [n for n, request in self._requests.items() if request.expires <= now]
            late = [self._requests.pop(number) for number in numbers]
        for request in late:
            request.future.set_result(
                [
                    PublishTimeout(
                        "the worker process did not answer a publish in time; it may have arrived",
                        task_id=task_id,
                        may_have_arrived=True,
                    )
                    for task_id in request.ids
                ]
            )

    def abandon(self, why: str) -> None:
        """The worker process is gone: end all requests, and refuse what still comes."""
        with self._lock:
            self._gone = why
            requests = list(self._requests.values())
            self._requests.clear()
        for request in requests:
            request.future.set_result(
                [
                    PublishError(why, task_id=task_id, may_have_arrived=True)
                    for task_id in request.ids
                ]
            )
