"""What operators say to workers, and what these answer: names, bodies, declarations.

Two streams of the virtual host carry it. ``rmqwork.control`` has what holds until it is taken back
(revocations, pauses): each worker reads it from its beginning when it connects, and follows it.
``rmqwork.control.calls`` has what is for the workers of this moment (ping, inspect, shutdown): each
worker reads what comes from now on. A stream keeps what was read, so one serves any number of
workers, without a queue for each (RabbitMQ guide "Streams and Super Streams").
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from time import time
from typing import Any, Final

from rmqwork._messages.ids import uuid7
from rmqwork._topology.topology import DeclareQueue
from rmqwork.errors import RmqworkError
from rmqwork.types import Delivery, Publication

STANDING: Final = "rmqwork.control"
CALLS: Final = "rmqwork.control.calls"
ANSWERS: Final = "rmqwork.control.answers."
MAX_IDS: Final = 1000
"""Ids in one command."""
TOO_OLD: Final = 60.0
"""Seconds after which a call is not answered any more; the clocks of hosts may differ by less."""
COMMAND_TYPE: Final = "rmqwork.control"
ANSWER_TYPE: Final = "rmqwork.control.answer"
LASTING: Final = frozenset({"revoke", "pause", "resume", "mark"})
"""What goes to the stream that is read from its beginning."""
_STANDING_BYTES: Final = 16 << 20
_CALLS_BYTES: Final = 2 << 20
_SEGMENT_BYTES: Final = 1 << 20
_ANSWERS_EXPIRE: Final = 60_000


class CommandRefused(RmqworkError):
    """A worker does not do what it was told to; the text says why."""


class NotACommand(ValueError):
    """A message on a control stream that none of ours has written."""


def control_declarations() -> list[DeclareQueue]:
    """The declarations of both streams."""
    return [_stream(STANDING, _STANDING_BYTES), _stream(CALLS, _CALLS_BYTES)]


def _stream(name: str, size: int) -> DeclareQueue:
    """A stream; when it is full, its oldest segment goes."""
    arguments: dict[str, object] = {
        "x-queue-type": "stream",
        "x-max-length-bytes": size,
        "x-stream-max-segment-size-bytes": _SEGMENT_BYTES,
    }
    return DeclareQueue(name, arguments)


def answers_queue() -> DeclareQueue:
    """A queue for the answers to one who asks: durable and not exclusive, as RabbitMQ 4.3 wants
    its queues; it expires when nobody reads it."""
    arguments = {"x-queue-type": "classic", "x-expires": _ANSWERS_EXPIRE, "x-max-length": 100_000}
    return DeclareQueue(f"{ANSWERS}{uuid7()}", arguments)


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody says to workers.

    Args:
        do: the verb.
        what: its arguments, as JSON values.
        app: only workers of this app; None = all.
        worker: only workers with such a name (a pattern as in `fnmatch`); None = all.
        id: of this command.
        at: when it was said, in seconds since the epoch.
        by: who said it, ``user@host``.
        reply_to: the queue for answers; None = nobody waits for them.
    """

    do: str
    what: Mapping[str, Any] = field(default_factory=dict)
    app: str | None = None
    worker: str | None = None
    id: str = field(default_factory=uuid7)
    at: float = field(default_factory=time)
    by: str = ""
    reply_to: str | None = None

    @property
    def lasting(self) -> bool:
        """Whether it holds for workers that start later, too."""
        return self.do in LASTING

    @property
    def too_old(self) -> bool:
        """Whether nobody waits for it any more."""
        return time() - self.at > TOO_OLD

    def is_for(self, app: str, worker: str) -> bool:
        """Whether a worker is meant."""
        if self.app is not None and self.app != app:
            return False
        return self.worker is None or fnmatchcase(worker, self.worker)

    def publication(self) -> Publication:
        """The command on its way to its stream."""
        body = {"do": self.do, "what": dict(self.what), "at": self.at, "by": self.by}
        body |= {"app": self.app, "worker": self.worker}
        return Publication(
            "",
            STANDING if self.lasting else CALLS,
            json.dumps(body, separators=(",", ":")).encode(),
            self.id,
            COMMAND_TYPE,
            reply_to=self.reply_to,
        )


def command_of(delivery: Delivery) -> Command:
    """The command of a message.

    Raises:
        NotACommand: it is none.
    """
    try:
        body = json.loads(delivery.body)
        do, what = body["do"], body["what"]
        if not isinstance(do, str) or not isinstance(what, dict):
            raise TypeError("do is a text, what an object")
        return Command(
            do,
            what,
            _text(body.get("app")),
            _text(body.get("worker")),
            delivery.message_id or uuid7(),
            float(body["at"]),
            str(body.get("by", "")),
            delivery.reply_to,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotACommand(f"a message on {delivery.queue!r} is no command: {error}") from None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one worker says.

    Args:
        worker: its name.
        host: where it runs.
        pid: of the worker process.
        app: its app.
        value: what was asked for, as JSON values.
        error: why not, if not.
    """

    worker: str
    host: str
    pid: int
    app: str
    value: Any = None
    error: str = ""

    def publication(self, command: Command) -> Publication:
        """The answer on its way to whoever asked; ``command`` has a ``reply_to``."""
        body = {"worker": self.worker, "host": self.host, "pid": self.pid, "app": self.app}
        text = json.dumps({**body, "value": self.value, "error": self.error}, default=str)
        return Publication(
            "",
            command.reply_to or "",
            text.encode(),
            uuid7(),
            ANSWER_TYPE,
            correlation_id=command.id,
        )


def answer_of(body: bytes) -> Answer:
    """The answer in a message.

    Raises:
        NotACommand: it is none.
    """
    try:
        values = json.loads(body)
        return Answer(
            str(values["worker"]),
            str(values["host"]),
            int(values["pid"]),
            str(values["app"]),
            values["value"],
            str(values["error"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotACommand(f"what came is no answer of a worker: {error}") from None


def caller() -> str:
    """This process's user and host, for those who read what was done."""
    import getpass

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        user = "?"
    return f"{user}@{socket.gethostname()}"
