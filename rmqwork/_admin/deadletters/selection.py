"""`Selection`: which dead letters are meant."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from rmqwork._admin.deadletters.bodies import task_body
from rmqwork._admin.deadletters.groups import group_of
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork.errors import ConfigurationError, InvalidMessage

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant: those that fit all that is given. Nothing given = all.

    Args:
        ids: one of these ids.
        groups: in one of these groups (`Group.id`).
        tasks: a task whose name fits one of these patterns (as in `fnmatch`).
        errors: an error whose class fits one of these patterns, with its module or without.
        reasons: one of these reasons (those of `DeadLetter`).
        since: failed then or later. A letter of which nobody noted the time fits no time.
        until: failed before then.
        match: fields of the body with their values: ``{"customer.id": "7"}``. Dots lead into
            objects and (numbers, from 0) lists. A value fits when it is the field's text, or its
            JSON: ``7`` fits 7 and "7", ``true`` fits true and "true".
    """

    ids: Collection[str] = ()
    groups: Collection[str] = ()
    tasks: Collection[str] = ()
    errors: Collection[str] = ()
    reasons: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    match: Mapping[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> bool:
        """Whether it leaves nothing out."""
        return not any(getattr(self, one.name) for one in fields(self))

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.ids or letter.id in self.ids)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.tasks or _fits(letter.task or "", self.tasks))
            and (not self.errors or _is_error(letter.error_type, self.errors))
            and self._in_time(letter.at)
            and (not self.groups or group_of(letter).id in self.groups)
            and (not self.match or _matches(letter, self.match))
        )

    def _in_time(self, at: datetime | None) -> bool:
        if self.since is None and self.until is None:
            return True
        if at is None:
            return False
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def _fits(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_error(error_type: str, patterns: Collection[str]) -> bool:
    return _fits(error_type, patterns) or _fits(error_type.rpartition(".")[2], patterns)


def _matches(letter: DeadLetter, wanted: Mapping[str, str]) -> bool:
    body = letter.body
    with suppress(InvalidMessage):  # of another producer: as it is
        body = task_body(letter)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return all(_same(_at(value, path), text) for path, text in wanted.items())


def _at(value: object, path: str) -> object:
    """The value at a dotted path; a key that has dots itself is found, too."""
    if isinstance(value, dict):
        if path in value:
            found: object = value[path]
            return found
        for key in value:
            if path.startswith(f"{key}."):
                found = _at(value[key], path[len(key) + 1 :])
                if found is not _MISSING:
                    return found
        return _MISSING
    head, _, rest = path.partition(".")
    if isinstance(value, list) and head.isascii() and head.isdigit() and int(head) < len(value):
        return _at(value[int(head)], rest) if rest else value[int(head)]
    return _MISSING


def _same(value: object, text: str) -> bool:
    if value is _MISSING:
        return False
    if value == text:
        return True
    try:
        wanted = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def matching(given: Collection[str]) -> dict[str, str]:
    """``field=value`` texts as `Selection.match` has them.

    Raises:
        ConfigurationError: one has no ``=``, or one field is named twice.
    """
    found: dict[str, str] = {}
    for text in given:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise ConfigurationError(f"--match takes field=value (customer.id=7), not {text!r}")
        if found.setdefault(path, value) != value:
            raise ConfigurationError(f"--match {path}=…: the field is given twice")
    return found


def point_in_time(text: str, now: datetime) -> datetime:
    """A time: ISO 8601 (UTC where it names no zone), or how long ago: ``90s 15m 2h 3d 1w``.

    Raises:
        ConfigurationError: it is neither.
    """
    ago = _AGO.fullmatch(text.strip().removesuffix(" ago").strip())
    try:
        if ago is not None:
            return now - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{text!r} is no time; give 2030-01-31T08:00 (UTC), or how long ago: 90s, 15m, 2h, 3d"
        ) from None
