"""What was published, for tests to look at."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmqwork._messages import headers as names
from rmqwork._messages.codec import JSON, plain_body
from rmqwork._messages.message import TaskMessage, message_info
from rmqwork._tasks.task import Task
from rmqwork._transport.port import PublishPort
from rmqwork.errors import PublishError
from rmqwork.types import Publication

if TYPE_CHECKING:
    from rmqwork._tasks.app import App

What = Task[..., Any] | type[TaskMessage] | str
"""A task, a message class, or the name of either."""


@dataclass(slots=True, eq=False)
class Sent:
    """One message that was given to the broker.

    Args:
        publication: as it went out.
        message: the message, or the arguments by name (function style); of a task that the app does
            not know, the fields.
        countdown: seconds by which it is delayed, or None.
        error: why it was not confirmed, or None; also None while there is no answer.
    """

    publication: Publication
    message: Any
    countdown: float | None
    error: Exception | None = None

    @property
    def task(self) -> str:
        """The task's name."""
        return self.publication.type or ""

    @property
    def id(self) -> str:
        """The task's id."""
        return self.publication.message_id

    @property
    def queue(self) -> str:
        """The queue, as far as the route names it: its routing key."""
        return self.publication.routing_key

    @property
    def exchange(self) -> str:
        """The exchange."""
        return self.publication.exchange

    @property
    def priority(self) -> int | None:
        """The priority, if one was given."""
        return self.publication.priority

    @property
    def headers(self) -> Mapping[str, object]:
        """The headers that the application gave."""
        given = self.publication.headers
        return {key: value for key, value in given.items() if not key.startswith("rmqwork-")}

    @property
    def expires_at(self) -> float | None:
        """Seconds since the epoch after which the task must not start, or None."""
        value = self.publication.headers.get(names.EXPIRES_AT)
        return value / 1000 if isinstance(value, int) else None

    def __repr__(self) -> str:
        return f"<Sent {self.task} {self.id} to {self.queue!r}: {self.message!r}>"


class Published:
    """All messages that an app has published by its own port, in order.

    What a worker publishes for it (retries, dead letters) is not among them.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._sent: list[Sent] = []

    def record(self, publications: Sequence[Publication]) -> list[Sent]:
        """Note publications that are on their way."""
        sent = [self._of(publication) for publication in publications]
        with self._lock:
            self._sent += sent
        return sent

    def _of(self, publication: Publication) -> Sent:
        due = publication.due
        countdown = None if due is None else round(due - time.time(), 3)
        return Sent(publication, self._message(publication), countdown)

    def _message(self, publication: Publication) -> Any:
        task = self._app.tasks.get(publication.type or "")
        body = self._body(publication)
        if task is None:
            return json.loads(body)
        version = publication.headers.get(names.VERSION, 1)
        return task.body.load(body, version if isinstance(version, int) else 1)

    def _body(self, publication: Publication) -> bytes:
        """Its body as a worker reads it: unsealed and decompressed."""
        body, kind = publication.body, publication.content_type
        if self._app.seal is not None:
            body, kind = self._app.seal.open(
                publication.type or "", publication.message_id, body, kind, publication.headers
            )
        if kind != JSON:  # no task's message, or one with its workflow around it
            return body
        return plain_body(body, kind, publication.content_encoding)

    def of(self, what: What) -> list[Sent]:
        """The messages for a task, given as such, by its message class, or by its name."""
        name = _name(what)
        return [sent for sent in self if sent.task == name]

    def one(self, what: What | None = None) -> Sent:
        """The only message (for a task).

        Raises:
            AssertionError: there is none, or more than one; the text has all that there is.
        """
        found = list(self) if what is None else self.of(what)
        if len(found) == 1:
            return found[0]
        which = "" if what is None else f" of {_name(what)!r}"
        there = "".join(f"\n  {sent!r}" for sent in self) or " nothing"
        raise AssertionError(
            f"{len(found)} messages{which} were published, not one; published were:{there}"
        )

    def clear(self) -> None:
        """Forget what was published so far."""
        with self._lock:
            self._sent.clear()

    def __iter__(self) -> Iterator[Sent]:
        with self._lock:
            return iter(list(self._sent))

    def __len__(self) -> int:
        return len(self._sent)

    def __getitem__(self, index: int) -> Sent:
        return self._sent[index]

    def __repr__(self) -> str:
        return f"<Published {list(self)!r}>"


def _name(what: What) -> str:
    if isinstance(what, str):
        return what
    return what.name if isinstance(what, Task) else message_info(what).name


class RecordingPort:
    """Publishes by another port, and notes all of it; see `rmqwork._transport.port.PublishPort`."""

    def __init__(self, port: PublishPort, published: Published) -> None:
        self._port = port
        self._published = published

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        """See the port."""
        sent = self._published.record(publications)
        future = self._port.submit(publications, timeout)

        def answered(done: Future[list[PublishError | None]]) -> None:
            error = done.exception()
            errors = [error] * len(sent) if error is not None else done.result()
            for one, problem in zip(sent, errors, strict=True):
                one.error = problem if isinstance(problem, Exception) else None

        future.add_done_callback(answered)
        return future

    def close(self, timeout: float) -> int:
        """See the port."""
        return self._port.close(timeout)
