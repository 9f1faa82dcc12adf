"""Messages whose properties are bytes made by hand: what no client library would send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import Any

from pika import BasicProperties

_FLAGS = {
    "content_type": 1 << 15,
    "content_encoding": 1 << 14,
    "headers": 1 << 13,
    "delivery_mode": 1 << 12,
    "priority": 1 << 11,
    "correlation_id": 1 << 10,
    "reply_to": 1 << 9,
    "expiration": 1 << 8,
    "message_id": 1 << 7,
    "timestamp": 1 << 6,
    "type": 1 << 5,
    "user_id": 1 << 4,
    "app_id": 1 << 3,
}


@dataclass(frozen=True)
class Item:
    """A value of a table as its type octet and its bytes."""

    kind: bytes
    data: bytes


@dataclass(frozen=True)
class Hostile:
    """A message that somebody has made by hand.

    Args:
        what: for people.
        properties: by name; texts or bytes, tables as mappings.
        body: of the message.
        routing_key: None: the name of the queue.
        exchange: of the publication.
    """

    what: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b'{"key":"hostile"}'
    routing_key: str | None = None
    exchange: str = ""


class RawProperties(BasicProperties):  # type: ignore[misc]
    """Properties that travel as they were made."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        self._values = values

    def encode(self) -> list[bytes]:
        """The pieces of the property list."""
        flags, pieces = 0, []
        for name, flag in _FLAGS.items():
            value = self._values.get(name)
            if value is None:
                continue
            flags |= flag
            pieces.append(_property(name, value))
        return [pack(">H", flags), *pieces]


def _property(name: str, value: Any) -> bytes:
    if name == "headers":
        return table(value)
    if name in ("delivery_mode", "priority"):
        return pack(">B", value)
    if name == "timestamp":
        return pack(">Q", value)
    return short(value)


def short(value: str | bytes) -> bytes:
    """A short string, of text or of any bytes."""
    data = value.encode() if isinstance(value, str) else value
    return pack(">B", len(data)) + data


def table(values: Mapping[str | bytes, Any]) -> bytes:
    """A table."""
    data = b"".join(short(name) + item(value) for name, value in values.items())
    return pack(">I", len(data)) + data


def item(value: Any) -> bytes:
    """A value of a table, with its type."""
    match value:
        case Item(kind, data):
            return kind + data
        case bool():
            return b"t" + pack(">?", value)
        case int():
            return b"l" + pack(">q", value)
        case float():
            return b"d" + pack(">d", value)
        case str():
            data = value.encode()
            return b"S" + pack(">I", len(data)) + data
        case bytes():
            return b"S" + pack(">I", len(value)) + value
        case None:
            return b"V"
        case list():
            data = b"".join(map(item, value))
            return b"A" + pack(">I", len(data)) + data
    return b"F" + table(value)


def timestamp(seconds: int) -> Item:
    """A time of a table."""
    return Item(b"T", pack(">Q", seconds % (1 << 64)))
