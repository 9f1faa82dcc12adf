"""Readers of settings: from what a variable, a file or an argument says to a value.

Each raises ValueError with a text that says what would be right, and has no password in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, Final, TypeVar, get_args

from rmqwork._config.sizes import parse_size

T = TypeVar("T")
_PASSWORD: Final = re.compile(r"(://[^:/@\s]*):[^@/\s]*@")


def setting(default: T, read: Callable[[object], T]) -> T:
    """Make a field of a dataclass of settings.

    Args:
        default: value of the field where nothing is said.
        read: reader of what is said; it is in the field's metadata under this name.
    """
    made: T = field(default=default, metadata={"read": read})
    return made


def mask(url: str) -> str:
    """An address with its password replaced by ``***``."""
    return _PASSWORD.sub(r"\1:***@", url)


def broker_addresses(value: object) -> tuple[str, ...]:
    """Read the addresses of a broker, from one text or several.

    Raises:
        ValueError: there is none, or one is no address; no password is in its text.
    """
    urls = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(urls, Sequence) or not urls:
        raise ValueError("a broker is an address such as amqp://user:password@host:5672/")
    for url in urls:
        if not isinstance(url, str) or not url.startswith(("amqp://", "amqps://", "memory://")):
            raise ValueError(
                f"{mask(str(url))!r} is no broker's address; write amqp://user:password@host:5672/"
            )
    return tuple(urls)


def _number(value: object) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError(f"{value!r} is no number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def seconds(*, above: bool) -> Callable[[object], float]:
    """Return the reader of a duration in seconds: above 0, or 0 or more."""

    def read(value: object) -> float:
        number = float(_number(value))
        if number < 0 or (above and number == 0):
            raise ValueError(f"{value!r} must be {'above 0' if above else '0 or more'} seconds")
        return number

    return read


def count(least: int, most: int = 1 << 31) -> Callable[[object], int]:
    """Return the reader of a whole number within limits, which are included."""

    def read(value: object) -> int:
        number = _number(value)
        if number != int(number) or not least <= number <= most:
            raise ValueError(f"{value!r} must be a whole number from {least} to {most}")
        return int(number)

    return read


def text(value: object) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def web_address(value: object) -> str:
    """Read the address of a management API."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ValueError(
            f"{mask(str(value))!r} is no address; write http://user:password@host:15672"
        )
    return value


def size(value: object) -> int:
    """Read a number of bytes: a whole number, or a text such as ``10kB``."""
    return parse_size(value) if isinstance(value, str) else count(1, 1 << 60)(value)


def one_of(words: object) -> Callable[[object], Any]:
    """Return the reader of one of the words of a ``Literal``."""
    names = get_args(words)

    def read(value: object) -> object:
        if value not in names:
            raise ValueError(f"{value!r} is not one of {', '.join(names)}")
        return value

    return read


def truth(value: object) -> bool:
    """Read a boolean, or a word for one."""
    said = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in said:
        raise ValueError(f"{value!r} is neither true nor false")
    return said[str(value).lower()]
