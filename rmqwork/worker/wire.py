"""What the worker process, the template and the executors say to each other.

A frame is a 4-byte big-endian length and ``marshal.dumps`` of a list of tuples. `docs/architecture.md`
lists the kinds; the functions here turn values into tuples and back.

`marshal` and not JSON: both ends are the same Python, nothing comes from outside, and it is the
fastest encoder of plain values in the standard library.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any, Final

from rmqwork.outcome import Evidence, Failure, Outcome, Reason, Success, TryAgain
from rmqwork.types import Publication

Message = tuple[Any, ...]

_LENGTH: Final = Struct("!I")
MARK: Final = Struct("=Qd")
"""One start mark: the delivery's number (0 = idle) and ``time.monotonic()`` at its start."""


def pack(messages: Sequence[Message]) -> bytes:
    """One frame with these messages."""
    body = marshal.dumps(list(messages))
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Turns the bytes of a socket, in whatever pieces they come, into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """All messages of the frames that are complete with this piece."""
        buffer = self._buffer
        buffer += data
        at = 0
        frames: list[bytes] = []
        while len(buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, at)
            end = at + _LENGTH.size + length
            if len(buffer) < end:
                break
            frames.append(bytes(memoryview(buffer)[at + _LENGTH.size : end]))
            at = end
        if at:
            del buffer[:at]
        for frame in frames:
            yield from marshal.loads(frame)


def outcome_message(number: int, outcome: Outcome) -> Message:
    """An executor's report of one delivery."""
    match outcome:
        case Success(duration, result):
            return ("o", number, "s", duration, result)
        case TryAgain(duration, delay, counts, evidence):
            return ("o", number, "r", duration, delay, counts, *_evidence(evidence))
        case Failure(duration, reason, evidence):
            return ("o", number, "f", duration, reason.value, *_evidence(evidence))


def outcome_of(message: Message) -> tuple[int, Outcome]:
    """The delivery's number and the outcome in a report."""
    _, number, kind, duration, *rest = message
    if kind == "s":
        return number, Success(duration, rest[0])
    if kind == "r":
        return number, TryAgain(duration, rest[0], rest[1], Evidence(*rest[2:]))
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
