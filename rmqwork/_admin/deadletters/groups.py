"""Dead letters in groups: what failed in the same way, how often, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from rmqwork._admin.deadletters.duplicates import copy_key
from rmqwork._admin.deadletters.fingerprint import fingerprint, innermost, trail
from rmqwork._messages.dead_letter import DeadLetter

_KINDS: Final = 4096


class GroupKey(NamedTuple):
    """What the dead letters of one group have in common.

    Args:
        id: eight hexadecimal digits, the same for the same kind of failure, today and tomorrow.
        queue: that they were consumed from.
        task: its name, or an empty string.
        reason: as `DeadLetter` has it.
        error_type: the exception's class, or an empty string.
        fingerprint: of the traceback, or of the message where there is none.
    """

    id: str
    queue: str
    task: str
    reason: str
    error_type: str
    fingerprint: str


@dataclass(slots=True)
class Group:
    """Dead letters that failed in the same way.

    Args:
        key: what they have in common.
        where: the innermost frame of the newest one's traceback, or an empty string.
        message: the newest one's error message.
        count: how many; copies count once.
        first: when the oldest failed, in UTC, if anybody noted it.
        last: when the newest failed.
    """

    key: GroupKey
    where: str = ""
    message: str = ""
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None

    @property
    def id(self) -> str:
        """The group's id, by which verbs find it again."""
        return self.key.id

    def add(self, letter: DeadLetter) -> None:
        """Count one more."""
        self.count += 1
        at = letter.at
        if at is None or self.last is None or at >= self.last:
            self.message = letter.error_message
            self.where = innermost(letter.traceback)
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)


@dataclass(slots=True)
class Groups:
    """All groups of the letters that were added.

    Memory: one group a kind, and a number a letter: some 70 bytes.
    """

    _found: dict[str, Group] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def add(self, letter: DeadLetter) -> bool:
        """Take in one more; return False for a copy of one that was there before."""
        key = copy_key(letter)
        if key is not None and key in self._seen:
            return False
        if key is not None:
            self._seen.add(key)
        self.count(letter)
        return True

    def count(self, letter: DeadLetter) -> None:
        """Take in one more that is known to be no copy."""
        key = group_of(letter)
        group = self._found.get(key.id)
        if group is None:
            group = self._found[key.id] = Group(key)
        group.add(letter)

    @property
    def letters(self) -> int:
        """How many letters there are, copies not counted."""
        return sum(group.count for group in self._found.values())

    def largest_first(self) -> list[Group]:
        """The groups, the largest first."""
        return sorted(self._found.values(), key=lambda group: (-group.count, group.key[1:]))


def group_of(letter: DeadLetter) -> GroupKey:
    """Which group a letter is in."""
    kind = (letter.queue, letter.task or "", letter.reason, letter.error_type)
    return _key(*kind, trail(letter.traceback, letter.error_message))


@lru_cache(maxsize=_KINDS)
def _key(queue: str, task: str, reason: str, error_type: str, trail: str) -> GroupKey:
    kind = (queue, task, reason, error_type)
    where = fingerprint(trail)
    return GroupKey(fingerprint(*kind, where), *kind, where)
