"""Dead letters as rows, groups and JSON."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rmqwork.cli.text import cut

if TYPE_CHECKING:
    from rmqwork.deadletters import DeadLetter

_MESSAGE_LENGTH: Final = 500
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Kind(NamedTuple):
    """What dead letters of one group have in common."""

    queue: str
    task: str
    reason: str
    error_type: str


@dataclass(slots=True)
class Group:
    """How many there are of a kind, and when."""

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, at: datetime | None) -> None:
        """Count one more."""
        self.count += 1
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)


@dataclass(slots=True)
class Row:
    """A dead letter without its body, and how many copies of it there are.

    A worker that dies between publishing a dead letter and acking its message leaves two copies
    with one id and attempt.
    """

    queue: str
    dead_letter_queue: str
    id: str | None
    task: str | None
    reason: str
    by_broker: bool
    error_type: str
    error_message: str
    attempt: int
    at: datetime | None
    body_bytes: int
    copies: int = 1

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["at"] = iso(self.at)
        return values


_Entry = tuple[datetime, int, Row]
"""When it failed, its place in the queue, and its row: what rows are ordered by."""


@dataclass
class Collection:
    """The newest dead letters of each dead-letter queue, and all of them in groups.

    Memory: ``limit`` rows a queue, a group for each kind, and 8 bytes and a set's share a letter.
    """

    limit: int
    groups: dict[Kind, Group] = field(default_factory=dict)
    _rows: dict[str, list[_Entry]] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _place: int = 0

    def add(self, letter: DeadLetter) -> None:
        """Take in one more, in the order of its queue."""
        rows = self._rows.setdefault(letter.dead_letter_queue, [])
        if letter.id is not None:
            key = hash((letter.dead_letter_queue, letter.queue, letter.id, letter.attempt))
            if key in self._seen:
                self._count_copy(rows, letter)
                return
            self._seen.add(key)
        self._place += 1
        entry = (letter.at or _LONG_AGO, self._place, _row(letter))
        if len(rows) < self.limit:
            heapq.heappush(rows, entry)
        elif rows:
            heapq.heappushpop(rows, entry)
        kind = Kind(letter.queue, letter.task or "", letter.reason, letter.error_type)
        self.groups.setdefault(kind, Group()).add(letter.at)

    @property
    def letters(self) -> int:
        """How many there are, copies not counted."""
        return sum(group.count for group in self.groups.values())

    def newest_first(self, dead_letter_queue: str) -> list[Row]:
        """The rows of one queue, by their time and then by their place in it."""
        entries = sorted(self._rows.get(dead_letter_queue, ()), reverse=True)
        return [row for _, _, row in entries]

    def by_count(self) -> list[tuple[Kind, Group]]:
        """The groups, the largest first."""
        return sorted(self.groups.items(), key=lambda item: -item[1].count)

    @staticmethod
    def _count_copy(rows: Iterable[_Entry], letter: DeadLetter) -> None:
        for _, _, row in rows:
            if row.id == letter.id and row.attempt == letter.attempt:
                row.copies += 1


def _row(letter: DeadLetter) -> Row:
    return Row(
        queue=letter.queue,
        dead_letter_queue=letter.dead_letter_queue,
        id=letter.id,
        task=letter.task,
        reason=letter.reason,
        by_broker=letter.by_broker,
        error_type=letter.error_type,
        error_message=cut(letter.error_message, _MESSAGE_LENGTH),
        attempt=letter.attempt,
        at=letter.at,
        body_bytes=len(letter.body),
    )


def group_to_json(kind: Kind, group: Group) -> dict[str, Any]:
    """A group as JSON values."""
    return {
        "queue": kind.queue,
        "task": kind.task or None,
        "reason": kind.reason,
        "error_type": kind.error_type,
        "count": group.count,
        "first": iso(group.first),
        "last": iso(group.last),
    }


def letter_to_json(letter: DeadLetter) -> dict[str, Any]:
    """A whole dead letter as JSON values; a body that is no UTF-8 is in ``body_base64``."""
    try:
        body, encoded = letter.body.decode("utf-8"), None
    except UnicodeDecodeError:
        body, encoded = None, base64.b64encode(letter.body).decode()
    return {
        "queue": letter.queue,
        "dead_letter_queue": letter.dead_letter_queue,
        "id": letter.id,
        "task": letter.task,
        "reason": letter.reason,
        "by_broker": letter.by_broker,
        "error_type": letter.error_type,
        "error_message": letter.error_message,
        "traceback": letter.traceback,
        "attempt": letter.attempt,
        "at": iso(letter.at),
        "host": letter.host,
        "exchange": letter.exchange,
        "routing_key": letter.routing_key,
        "properties": jsonable(dict(letter.properties)),
        "headers": jsonable(dict(letter.headers)),
        "body": body,
        "body_base64": encoded,
    }


def jsonable(value: object) -> Any:
    """A header's value as JSON has it; bytes that are no text as base64."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value


def iso(at: datetime | None) -> str | None:
    """A time in ISO 8601."""
    return None if at is None else at.isoformat()
