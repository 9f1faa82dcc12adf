"""Dead letters as rows, groups and JSON."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from rmqwork._admin.deadletters.groups import Group, Groups, group_of
from rmqwork._admin.deadletters.records import jsonable
from rmqwork._admin.deadletters.replay_message import last_failure, replays_of
from rmqwork._cli.text import cut
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._messages.history import steps

_MESSAGE_LENGTH: Final = 500
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


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

    Memory: ``limit`` rows a queue, a group for each kind, and what
    `rmqwork._admin.deadletters.duplicates.Copies` takes.
    """

    limit: int
    groups: Groups = field(default_factory=Groups)
    _rows: dict[str, list[_Entry]] = field(default_factory=dict)
    _place: int = 0

    def add(self, letter: DeadLetter) -> None:
        """Take in one more, in the order of its queue."""
        rows = self._rows.setdefault(letter.dead_letter_queue, [])
        if not self.groups.add(letter):
            self._count_copy(rows, letter)
            return
        self._place += 1
        entry = (letter.at or _LONG_AGO, self._place, _row(letter))
        if len(rows) < self.limit:
            heapq.heappush(rows, entry)
        elif rows:
            heapq.heappushpop(rows, entry)

    @property
    def letters(self) -> int:
        """How many there are, copies not counted."""
        return self.groups.letters

    def newest_first(self, dead_letter_queue: str) -> list[Row]:
        """The rows of one queue, by their time and then by their place in it."""
        entries = sorted(self._rows.get(dead_letter_queue, ()), reverse=True)
        return [row for _, _, row in entries]

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


def group_to_json(group: Group) -> dict[str, Any]:
    """A group as JSON values."""
    key = group.key
    return {
        "id": key.id,
        "queue": key.queue,
        "task": key.task or None,
        "reason": key.reason,
        "error_type": key.error_type,
        "fingerprint": key.fingerprint,
        "where": group.where,
        "message": cut(group.message, _MESSAGE_LENGTH),
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
        "replays": replays_of(letter),
        "history": [asdict(step) for step in (*steps(letter.headers), last_failure(letter))],
        "group": group_of(letter).id,
        "at": iso(letter.at),
        "host": letter.host,
        "exchange": letter.exchange,
        "routing_key": letter.routing_key,
        "properties": jsonable(dict(letter.properties)),
        "headers": jsonable(dict(letter.headers)),
        "body": body,
        "body_base64": encoded,
    }


def iso(at: datetime | None) -> str | None:
    """A time in ISO 8601."""
    return None if at is None else at.isoformat()
