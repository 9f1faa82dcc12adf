"""What became of a message's earlier attempts: a header that grows by a line with each.

It is written where a message is to be tried again, so that a dead letter tells of all its attempts.
The oldest lines are dropped first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

HISTORY: Final = "rmqwork-history"
"""One line an attempt that did not succeed, and one for each replay, the newest last."""
REPLAYED: Final = "replayed"
_BYTES: Final = 4096
_TOLD: Final = 160


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One thing that has happened to a message.

    Args:
        attempt: from 1; 0 where it was no attempt.
        at: when, in ISO 8601, UTC.
        host: the worker, or an empty string.
        what: the error's class and the beginning of its message; or ``replayed``.
    """

    attempt: int
    at: str
    host: str
    what: str


def summary(error_type: str, message: str) -> str:
    """The beginning of an error, on one line."""
    text = " ".join(f"{error_type}: {message}".split() if message else error_type.split())
    return text if len(text) <= _TOLD else f"{text[: _TOLD - 1]}…"


def utc_now() -> str:
    """The time as `AttemptRecord.at` has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(headers: Mapping[str, object], *more: AttemptRecord) -> str:
    """The value of a message's header with some steps more."""
    before = headers.get(HISTORY)
    lines = before.split("\n") if isinstance(before, str) and before else []
    for step in more:
        host = "-".join(step.host.split()) or "-"
        lines.append(f"{step.attempt} {step.at or '-'} {host} {step.what}")
    while len("\n".join(lines).encode("utf-8", "replace")) > _BYTES and len(lines) > 1:
        del lines[0]
    return "\n".join(lines)


def steps(headers: Mapping[str, object]) -> list[AttemptRecord]:
    """What a message's header tells, the oldest first; never raises.

    A dead letter's last failure is not among them: the headers of its error tell that.
    """
    value = headers.get(HISTORY)
    found = []
    for line in value.split("\n") if isinstance(value, str) else ():
        attempt, _, rest = line.partition(" ")
        at, _, rest = rest.partition(" ")
        host, _, what = rest.partition(" ")
        if attempt.isascii() and attempt.isdigit() and len(attempt) < 10 and what:
            found.append(
                AttemptRecord(
                    int(attempt), "" if at == "-" else at, "" if host == "-" else host, what
                )
            )
    return found
