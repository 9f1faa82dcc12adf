"""What AMQP can carry: a message that a real broker would never get must not pass here."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Final

from rmqwork.errors import InvalidMessage
from rmqwork.types import Publication

FRAME: Final = 131072
"""Bytes that all properties together may take (``frame_max``)."""
_SHORT: Final = 255
_OVERHEAD: Final = 64


def check(publication: Publication) -> None:
    """See that a publication could be sent.

    Raises:
        InvalidMessage: it could not.
    """
    route = (publication.exchange, publication.routing_key)
    if any(len(name.encode()) > _SHORT for name in route):
        raise InvalidMessage(
            f"the route {publication.exchange[:60]!r} / {publication.routing_key[:60]!r} cannot "
            "be sent: names take at most 255 bytes"
        )
    task = f"task {publication.type!r} ({publication.message_id})"
    try:
        size = _OVERHEAD + sum(_short(name, publication) for name in _TEXTS)
        size += _table(publication.headers)
        _check_numbers(publication)
    except ValueError as error:
        raise InvalidMessage(
            f"the properties of {task} cannot be sent: {error}; headers take text, numbers of 64 "
            "bits and truth values, and names at most 255 bytes"
        ) from error
    if size > FRAME:
        raise InvalidMessage(
            f"the headers of {task} come to {size} bytes and do not fit one frame of {FRAME}; put "
            "large values into the message"
        )


_TEXTS: Final = (
    "content_type",
    "content_encoding",
    "correlation_id",
    "reply_to",
    "message_id",
    "type",
    "app_id",
)


def _check_numbers(publication: Publication) -> None:
    priority, timestamp = publication.priority, publication.timestamp
    if priority is not None and not 0 <= priority <= 255:
        raise ValueError(f"priority {priority} is not 0 to 255")
    if timestamp is not None and not 0 <= timestamp < 1 << 64:
        raise ValueError(f"timestamp {timestamp} is not in 64 bits")


def _short(name: str, publication: Publication) -> int:
    text = getattr(publication, name)
    size = 0 if text is None else len(text.encode("utf-8", "replace"))
    if size > _SHORT:
        raise ValueError(f"{name} {text[:40]!r}… is longer than 255 bytes")
    return size


def _table(table: Mapping[str, object]) -> int:
    size = 4
    for key, value in table.items():
        name = len(key.encode("utf-8", "replace"))
        if name > _SHORT:
            raise ValueError(f"the name of a header {key[:40]!r}… is longer than 255 bytes")
        size += 1 + name + _value(key, value)
    return size


def _value(key: str, value: object) -> int:
    match value:
        case str():
            return 5 + len(value.encode("utf-8", "replace"))
        case bool() | None:
            return 2
        case int():
            if not -(1 << 63) <= value < 1 << 63:
                raise ValueError(f"header {key!r}: {value} does not fit 64 bits")
            return 9
        case float():
            if not isfinite(value):
                raise ValueError(f"header {key!r}: {value} is no number")
            return 9
        case bytes():
            return 5 + len(value)
        case Mapping():
            return 1 + _table(value)
        case list() | tuple():
            return 5 + sum(_value(key, item) for item in value)
    raise ValueError(f"header {key!r} is a {type(value).__name__}")
