"""Headers of ours in messages that come: their types and bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._messages.history import HISTORY

MAX_ATTEMPT: Final = 1_000_000
"""The highest attempt that a message may say."""
_MAX_COUNT: Final = 1 << 31
_MAX_MILLISECONDS: Final = 1 << 53


def _between(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _is_text(value: object) -> bool:
    return type(value) is str


_CHECKS: Final[Mapping[str, Callable[[object], bool]]] = {
    names.VERSION: _between(0, _MAX_COUNT),
    names.ATTEMPT: _between(1, MAX_ATTEMPT),
    names.EXPIRES_AT: _between(-_MAX_MILLISECONDS, _MAX_MILLISECONDS),
    names.UNKNOWN_SINCE: _between(0, _MAX_MILLISECONDS),
    names.REPLAY: _between(0, _MAX_COUNT),
    names.EXCHANGE: _is_text,
    names.ROUTING_KEY: _is_text,
    names.QUEUE: _is_text,
    names.HOST: _is_text,
    names.EACH: _is_text,
    names.SIGNATURE: _is_text,
    names.ENCRYPTED: _is_text,
    HISTORY: _is_text,
}


def wrong_header(headers: Mapping[str, object]) -> str | None:
    """Say which header of ours is none of ours; None: all are right.

    Args:
        headers: of a message that has come.
    """
    for name, value in headers.items():
        check = _CHECKS.get(name)
        if check is not None and not check(value):
            return f"its header {name} is {str(value)[:60]!r}, which nobody of ours writes"
    return None
