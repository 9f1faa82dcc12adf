"""What the worker process and the template say to each other, and what executors are told.

A frame is a 4-byte big-endian length and ``marshal.dumps`` of a list of tuples.
`docs/explanation/architecture.md` lists the kinds; the functions here turn values into tuples and
back. What executors say travels otherwise: `rmqwork._worker.ipc.reports`.

`marshal` and not JSON: both ends are the same Python, nothing comes from a task, and it is the
fastest encoder of plain values in the standard library.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, Final

from rmqwork import errors
from rmqwork.errors import ConfigurationError, PublishError
from rmqwork.types import (
    Evidence,
    Failure,
    Outcome,
    Publication,
    Reason,
    Replaced,
    RetryOutcome,
    Success,
)

Message = tuple[Any, ...]

_LENGTH: Final = Struct("!I")
_MAX_DELAY: Final = 1e9
READ_SIZE: Final = 256 * 1024
"""Bytes asked of a socket at once."""


def pack(messages: Sequence[Message]) -> bytes:
    """One frame with these messages.

    What `marshal` does not know (a date in the headers of a foreign producer, a subclass of `str`)
    travels as text.
    """
    try:
        body = marshal.dumps(list(messages))
    except ValueError:
        body = marshal.dumps(_plain(list(messages)))
    return _LENGTH.pack(len(body)) + body


def _plain(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, list | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    for plain in (int, float):
        if isinstance(value, plain):
            return plain(value)
    return "".join(["", str(value)])  # exactly a str


class Unpacker:
    """Turns the bytes of a socket, in whatever pieces they come, into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """All messages of the frames that are complete with this piece."""
        if self._buffer:
            self._buffer += data
            with memoryview(self._buffer) as view:
                messages, used = _frames(view)
            if used:
                del self._buffer[:used]
            return messages
        with memoryview(data) as view:
            messages, used = _frames(view)
            if used < len(view):
                self._buffer += view[used:]
        return messages


def _frames(view: memoryview) -> tuple[list[Message], int]:
    """The messages of all complete frames, and how many bytes these take."""
    messages: list[Message] = []
    at, size = 0, len(view)
    while size - at >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(view, at)
        end = at + _LENGTH.size + length
        if size < end:
            break
        messages += marshal.loads(view[at + _LENGTH.size : end])
        at = end
    return messages, at


def outcome_message(number: int, outcome: Outcome) -> Message:
    """An executor's report of one delivery."""
    match outcome:
        case Success(duration, result):
            return ("o", number, "s", duration, result)
        case Replaced(duration, node):
            return ("o", number, "p", duration, node)
        case RetryOutcome(duration, delay, counts, evidence):
            delay = min(max(0.0, float(delay)), _MAX_DELAY)
            # float: a wait of tenacity may be any number, and only a float travels as one.
            return ("o", number, "r", duration, delay, counts, *_evidence(evidence))
        case Failure(duration, reason, evidence):
            return ("o", number, "f", duration, reason.value, *_evidence(evidence))


def refused_outcome(report: Message, why: str) -> Message:
    """A failure's report, for an outcome that cannot travel.

    Args:
        report: of `outcome_message`.
        why: for people.
    """
    evidence = Evidence("OutcomeNotSent", f"the task has ended, but not what it came to: {why}")
    return outcome_message(report[1], Failure(float(report[3]), Reason.FAILED, evidence))


def outcome_of(message: Message) -> tuple[int, Outcome]:
    """The delivery's number and the outcome in a report."""
    _, number, kind, duration, *rest = message
    if kind == "s":
        return number, Success(duration, rest[0])
    if kind == "r":
        return number, RetryOutcome(duration, rest[0], rest[1], Evidence(*rest[2:]))
    if kind == "p":
        return number, Replaced(duration, rest[0])
    return number, Failure(duration, Reason(rest[0]), Evidence(*rest[1:]))


def _evidence(evidence: Evidence) -> tuple[str, str, str]:
    return (evidence.type, evidence.message, evidence.traceback)


def publication_tuple(publication: Publication) -> Message:
    """A publication as plain values."""
    return (
        publication.exchange,
        publication.routing_key,
        publication.body,
        publication.message_id,
        publication.type,
        dict(publication.headers),
        publication.due,
        publication.priority,
        publication.content_type,
        publication.content_encoding,
        publication.correlation_id,
        publication.reply_to,
        publication.timestamp,
        publication.app_id,
    )


def publication_of(values: Message) -> Publication:
    """The publication of its plain values."""
    return Publication(*values)


def published_message(
    request: int, answer: Sequence[PublishError | None] | BaseException
) -> Message:
    """The worker process's answer to a publish request.

    Args:
        request: the request's number.
        answer: one entry a publication, None where it is confirmed; or the one error that
            ended them all (the future of `PublishPort.submit` has raised it).
    """
    if isinstance(answer, BaseException):
        return ("published", request, _error(answer))
    return ("published", request, [error and _error(error) for error in answer])


def published_of(values: Any, ids: Sequence[str]) -> list[PublishError | None]:
    """The answer's errors, as `published_message` got them.

    Args:
        values: the third item of the message.
        ids: the message ids of the request's publications, in their order.

    Raises:
        ConfigurationError, TopologyMismatch, PublishError: the one error that ended them all.
    """
    if isinstance(values, tuple):
        raise _error_of(values, None)
    results: list[PublishError | None] = []
    for value, task_id in zip(values, ids, strict=True):
        error = value and _error_of(value, task_id)
        if isinstance(error, ConfigurationError):
            raise error
        results.append(error)
    return results


def _error(error: BaseException) -> tuple[str, str, bool]:
    may_have_arrived = isinstance(error, PublishError) and error.may_have_arrived
    return (type(error).__name__, str(error) or type(error).__name__, may_have_arrived)


def _error_of(values: Message, task_id: str | None) -> PublishError | ConfigurationError:
    name, text, may_have_arrived = values
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ConfigurationError):
        return kind(text)
    if isinstance(kind, type) and issubclass(kind, PublishError):
        return kind(text, task_id=task_id, may_have_arrived=may_have_arrived)
    return PublishError(f"{name}: {text}", task_id=task_id, may_have_arrived=may_have_arrived)
