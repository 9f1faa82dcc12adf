"""Decode the properties of a message.

pika's own table decoder cuts the fraction off floats, and raises on values that it cannot represent
(a time after the year 9999), which ends the connection: a foreign message with such a header would
end the connection of each worker that it is delivered to, for ever. Here what cannot be read is
left out, and the message lives.

Sources: AMQP 0-9-1 specification, 4.2; the field types as RabbitMQ has them, in its "AMQP 0-9-1
Errata", section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from struct import Struct, error
from typing import Any, Final

from pika import spec

from rmqwork._transport.properties import (
    DELIVERY_MODE,
    HEADERS,
    PRIORITY,
    SHORT_AFTER,
    SHORT_FIRST,
    SHORT_LAST,
    TIMESTAMP,
)

_DEEPEST: Final = 32
"""How deep tables and arrays are read; what is deeper is left out."""

_FLAGS: Final = Struct(">H")
_SIZE: Final = Struct(">I")
_LONG: Final = Struct(">q")
_TIME: Final = Struct(">Q")
_TEXT: Final = ord("S")
_TEXT_HEAD: Final = Struct(">BI")
_FIXED: Final = {
    b"b": Struct(">b"),
    b"B": Struct(">B"),
    b"s": Struct(">h"),
    b"U": Struct(">h"),
    b"u": Struct(">H"),
    b"I": Struct(">i"),
    b"i": Struct(">I"),
    b"l": _LONG,
    b"L": _LONG,
    b"f": Struct(">f"),
    b"d": Struct(">d"),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decode(data: bytes) -> spec.BasicProperties:
    """The properties of a message that has come; never raises."""
    properties = spec.BasicProperties()
    with suppress(IndexError, error):  # cut short; RabbitMQ itself sends no such thing
        _read(properties, data)
    return properties


def _read(properties: Any, data: bytes) -> None:
    (flags,) = _FLAGS.unpack_from(data)
    at = _FLAGS.size
    if flags & 1:
        return
    at = _read_short(properties, data, at, flags, SHORT_FIRST)
    if flags & HEADERS:
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        properties.headers = _read_table(data, at, at + size, 0)
        at += size
    if flags & DELIVERY_MODE:
        properties.delivery_mode = data[at]
        at += 1
    if flags & PRIORITY:
        properties.priority = data[at]
        at += 1
    at = _read_short(properties, data, at, flags, SHORT_AFTER)
    if flags & TIMESTAMP:
        (properties.timestamp,) = _TIME.unpack_from(data, at)
        at += _TIME.size
    _read_short(properties, data, at, flags, SHORT_LAST)


def _read_short(
    properties: Any, data: bytes, at: int, flags: int, names: tuple[tuple[str, int], ...]
) -> int:
    for name, flag in names:
        if flags & flag:
            end = at + 1 + data[at]
            setattr(properties, name, _text(data[at + 1 : end]))
            at = end
    return at


def _text(data: bytes) -> str:
    """As text that takes no more bytes than it came in."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").replace("\ufffd", "?")


def _read_table(data: bytes, at: int, end: int, depth: int) -> dict[str, object]:
    table: dict[str, object] = {}
    try:
        while at < end:
            after = at + 1 + data[at]
            key = _text(data[at + 1 : after])
            if data[after] == _TEXT:  # nearly all are texts
                at = after + _TEXT_HEAD.size
                after, at = at, at + _TEXT_HEAD.unpack_from(data, after)[1]
                table[key] = _long_text(data, after, at, depth)
            else:
                table[key], at = _read_value(data, after, depth)
    except (IndexError, error, _Unknown):
        pass
    return table


def _read_array(data: bytes, at: int, end: int, depth: int) -> list[object]:
    array: list[object] = []
    try:
        while at < end:
            value, at = _read_value(data, at, depth)
            array.append(value)
    except (IndexError, error, _Unknown):
        pass
    return array


class _Unknown(Exception):
    """A type of field that nobody knows: nothing after it can be read."""


def _read_value(data: bytes, at: int, depth: int) -> tuple[object, int]:
    kind = data[at : at + 1]
    at += 1
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed.unpack_from(data, at)[0], at + fixed.size
    if kind == b"t":
        return data[at] != 0, at + 1
    if kind == b"V":
        return None, at
    if kind == b"T":
        return _time(_TIME.unpack_from(data, at)[0]), at + _TIME.size
    if kind == b"D":
        (raw,) = _FIXED[b"I"].unpack_from(data, at + 1)
        return str(Decimal(raw).scaleb(-data[at])), at + 5
    read = _SIZED.get(kind)
    if read is None:
        raise _Unknown
    (size,) = _SIZE.unpack_from(data, at)
    at += _SIZE.size
    return read(data, at, at + size, depth + 1), at + size


def _time(seconds: int) -> object:
    """A point in time as ISO 8601, or as the number where no calendar reaches it."""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return seconds


def _long_text(data: bytes, at: int, end: int, _depth: int) -> object:
    part = data[at:end]
    try:
        return part.decode()
    except UnicodeDecodeError:
        return part


def _nested(
    read: Callable[[bytes, int, int, int], object],
) -> Callable[[bytes, int, int, int], object]:
    return lambda data, at, end, depth: None if depth > _DEEPEST else read(data, at, end, depth)


_SIZED: Final[dict[bytes, Callable[[bytes, int, int, int], object]]] = {
    b"S": _long_text,
    b"x": lambda data, at, end, _depth: data[at:end],
    b"A": _nested(_read_array),
    b"F": _nested(_read_table),
}
