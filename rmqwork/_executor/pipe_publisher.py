"""Publishing from inside a task: through the pipe to the worker process's connection."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from rmqwork._executor.control_writer import ControlWriter
from rmqwork._worker.ipc.reports import MAX_PART, publication_values
from rmqwork._worker.ipc.wire import published_of
from rmqwork.errors import PublishError, PublishTimeout
from rmqwork.types import Publication

ANSWER_TIMEOUT: Final = 5.0
"""Seconds beyond a request's own timeout that the worker process may take to answer."""
MAX_PART_SIZE: Final = 500
"""Publications that the worker process is given in one report."""
WINDOW: Final = 2000
"""Publications that it may have of this executor without an answer; others wait here, where they
are the task's own memory."""


@dataclass(eq=False, slots=True)
class _Request:
    """The publications of one call."""

    future: Future[list[PublishError | None]]
    publications: Sequence[Publication]
    expires: float
    results: list[PublishError | None]
    unanswered: set[int]
    """The indices of those without an answer."""
    sent: int = 0
    """How many have gone to the worker process."""

    def end(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class _Part:
    """Publications of a request that go to the worker process in one report."""

    request: _Request
    at: int
    size: int
    ids: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.ids = [one.message_id for one in self.publications]

    @property
    def publications(self) -> Sequence[Publication]:
        return self.request.publications[self.at : self.at + self.size]


def _parts(request: _Request) -> list[_Part]:
    """A request in parts of a bounded number and size."""
    parts: list[_Part] = []
    at = count = size = 0
    for publication in request.publications:
        length = len(publication.body)
        if count and (count == MAX_PART_SIZE or size + length > MAX_PART):
            parts.append(_Part(request, at, count))
            at, count, size = at + count, 0, 0
        count, size = count + 1, size + length
    return [*parts, _Part(request, at, count)]


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
        self._sending = threading.Lock()
        self._waiting: deque[_Part] = deque()
        self._in_flight: dict[int, _Part] = {}
        self._unanswered = 0
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
        count = len(publications)
        expires = time.monotonic() + timeout + ANSWER_TIMEOUT
        request = _Request(future, publications, expires, [None] * count, set(range(count)))
        parts = _parts(request)
        with self._lock:
            gone = self._gone
            if gone is None:
                self._waiting += parts
        if gone is not None:
            future.set_result([PublishError(gone, task_id=one.message_id) for one in publications])
        else:
            self._send_waiting()
        return future

    def _send_waiting(self) -> None:
        """Send what the window has room for, in the order of its submission."""
        with self._sending:
            while (found := self._next()) is not None:
                number, part = found
                left = max(0.0, part.request.expires - ANSWER_TIMEOUT - time.monotonic())
                try:
                    values = [publication_values(one) for one in part.publications]
                    self._writer.send((("publish", number, values, left),))
                except ValueError as error:
                    with self._lock:
                        self._take(number)
                    text = f"a message cannot be sent: {error}"
                    part.request.end(PublishError(text, task_id=part.ids[0]))

    def _next(self) -> tuple[int, _Part] | None:
        with self._lock:
            while self._waiting and self._waiting[0].request.future.done():
                self._waiting.popleft()
            if not self._waiting:
                return None
            part = self._waiting[0]
            if self._in_flight and self._unanswered + part.size > WINDOW:
                return None
            self._waiting.popleft()
            number = next(self._numbers)
            self._in_flight[number] = part
            self._unanswered += part.size
            part.request.sent += part.size
            return number, part

    def _take(self, number: int) -> _Part | None:
        """Take a part that is answered; the caller holds the lock."""
        part = self._in_flight.pop(number, None)
        if part is not None:
            self._unanswered -= part.size
        return part

    def close(self, timeout: float) -> int:
        """Wait for what was submitted; returns how many publications have no answer."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with self._lock:
                if not self._in_flight and not self._waiting:
                    return 0
            time.sleep(0.01)
        with self._lock:
            return self._unanswered + sum(part.size for part in self._waiting)

    def published(self, number: int, values: Any) -> None:
        """Take the worker process's answer to a request (called by the control thread)."""
        with self._lock:
            part = self._take(number)
        if part is None:  # it has expired
            return
        request = part.request
        try:
            results = published_of(values, part.ids)
        except Exception as error:
            request.end(error)
        else:
            request.results[part.at : part.at + part.size] = results
            request.unanswered.difference_update(range(part.at, part.at + part.size))
            if not request.unanswered and not request.future.done():
                request.future.set_result(request.results)
        if self._waiting:
            self._send_waiting()

    def expire(self, now: float) -> None:
        """End the requests that had no answer in time (called by the control thread)."""
        if not self._in_flight:
            return
        with self._lock:
            late = [n for n, part in self._in_flight.items() if part.request.expires <= now]
            parts = [self._in_flight[number] for number in late]
            parts += [part for part in self._waiting if part.request.expires <= now]
            for number in late:
                self._take(number)
        for request in dict.fromkeys(part.request for part in parts):
            self._end_unanswered(
                request,
                PublishTimeout,
                "the worker process did not answer a publish in time",
            )
        if late:
            self._send_waiting()

    def abandon(self, why: str) -> None:
        """The worker process is gone: end all requests, and refuse what still comes."""
        with self._lock:
            self._gone = why
            parts = [*self._in_flight.values(), *self._waiting]
            self._in_flight.clear()
            self._waiting.clear()
            self._unanswered = 0
        for request in dict.fromkeys(part.request for part in parts):
            self._end_unanswered(request, PublishError, why)

    def _end_unanswered(self, request: _Request, kind: type[PublishError], why: str) -> None:
        if request.future.done():
            return
        for at in request.unanswered:
            sent = at < request.sent
            request.results[at] = kind(
                f"{why}; it may have arrived" if sent else f"{why}; it was not sent",
                task_id=request.publications[at].message_id,
                may_have_arrived=sent,
            )
        request.future.set_result(request.results)
