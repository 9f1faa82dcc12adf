"""Text that is safe on a terminal, and ways to shorten it."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters (ESC among them), marks that change the direction of text, lone surrogates,
private and unassigned code points, line and paragraph separators."""


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 worker``, ``2 workers``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def plain(text: str, *, lines: bool = False) -> str:
    """A text in which every character that could steer a terminal is written as an escape.

    Args:
        text: of unknown origin.
        lines: keep line ends and tabs.
    """
    if text.isascii() and text.isprintable():
        return text
    if lines:
        text = text.replace("\r\n", "\n").expandtabs(4)
    return "".join(_safe(character, lines) for character in text)


def _safe(character: str, lines: bool) -> str:
    if character == "\n" and lines:
        return character
    if unicodedata.category(character) not in _UNSAFE:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def cut(text: str, length: int) -> str:
    """At most so many characters, the last of them an ellipsis if something is missing."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def moment(at: datetime | None) -> str:
    """A time for people, in UTC, or a dash."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def brief_moment(at: datetime | None, now: datetime) -> str:
    """A time for a table: without the year if it is this one."""
    return moment(at).removeprefix(f"{now.astimezone(UTC):%Y-}")
