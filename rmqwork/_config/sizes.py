"""Sizes in bytes as people write them: ``512MB``, ``1.5 GiB``."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b?)", re.IGNORECASE)
_POWERS: Final = {"k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """The bytes of a size: a number alone, with ``kB MB GB TB`` (powers of 1000) or with
    ``KiB MiB GiB TiB`` or ``Ki Mi Gi Ti`` (powers of 1024, as Kubernetes writes them).

    Raises:
        ValueError: it is something else, or no byte at all.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is not None:
        number, prefix, binary = match.groups()
        power = _POWERS[prefix.lower()] if prefix else 0
        size: int = round(float(number) * (1024 if binary else 1000) ** power)
        if size:
            return size
    raise ValueError(f"{text!r} is no size; write 400000000, 400MB or 400MiB")


def show_size(size: int) -> str:
    """Bytes for people, in MB."""
    return f"{size / 1e6:.0f} MB"
