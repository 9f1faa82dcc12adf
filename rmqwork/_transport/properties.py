"""Encode the properties of a message, and refuse what AMQP cannot carry.

The same limits hold for every adapter: a message that RabbitMQ would never get must not pass the
broker in memory. pika's own encoder refuses floats.

Sources: AMQP 0-9-1 specification, 4.2; the field types as RabbitMQ has them, in its "AMQP 0-9-1
Errata", section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from struct import Struct
from typing import Final

from rmqwork.errors import InvalidMessage
from rmqwork.types import Publication

MAX_SHORT: Final = 255
"""Bytes of a name, and of a property that is a text."""
HEADER_FRAME_OVERHEAD: Final = 20
"""Bytes of a content header frame beside its properties: head, class, weight, body size, end."""
SHORT_FIRST: Final = (  # properties that are short strings, and their flags
    ("content_type", 1 << 15),
    ("content_encoding", 1 << 14),
)
SHORT_AFTER: Final = (
    ("correlation_id", 1 << 10),
    ("reply_to", 1 << 9),
    ("expiration", 1 << 8),
    ("message_id", 1 << 7),
)
SHORT_LAST: Final = (
    ("type", 1 << 5),
    ("user_id", 1 << 4),
    ("app_id", 1 << 3),
    ("cluster_id", 1 << 2),
)
HEADERS: Final = 1 << 13
DELIVERY_MODE: Final = 1 << 12
PRIORITY: Final = 1 << 11
TIMESTAMP: Final = 1 << 6

_FLAGS: Final = Struct(">H")
_SIZE: Final = Struct(">I")
_LONG_ITEM: Final = Struct(">cq")
_INT_ITEM: Final = Struct(">ci")
_DOUBLE_ITEM: Final = Struct(">cd")
_TIME: Final = Struct(">Q")


class CannotEncode(ValueError):
    """A property or a header has no form in AMQP."""


def encode(
    *,
    headers: Mapping[str, object],
    priority: int | None,
    timestamp: int | None,
    **short: str | None,
) -> bytes:
    """The properties of a persistent message.

    Args:
        headers: text, bytes, 64-bit integers, floats, truth values, None, and lists and tables of
            these.
        priority: 0 to 255.
        timestamp: seconds since the epoch.
        short: those that are texts of at most 255 bytes.

    Raises:
        CannotEncode: a value that AMQP cannot carry.
    """
    flags, pieces = DELIVERY_MODE, [b""]
    flags |= _add_short(pieces, short, SHORT_FIRST)
    if headers:
        flags |= HEADERS
        pieces.append(_table(headers))
    pieces.append(b"\x02")
    if priority is not None:
        flags |= PRIORITY
        if not 0 <= priority <= 255:
            raise CannotEncode(f"priority {priority} is not 0 to 255")
        pieces.append(bytes((priority,)))
    flags |= _add_short(pieces, short, SHORT_AFTER)
    if timestamp is not None:
        flags |= TIMESTAMP
        if not 0 <= timestamp < 1 << 64:
            raise CannotEncode(f"timestamp {timestamp} is not in 64 bits")
        pieces.append(_TIME.pack(timestamp))
    flags |= _add_short(pieces, short, SHORT_LAST)
    pieces[0] = _FLAGS.pack(flags)
    return b"".join(pieces)


def sendable(headers: Mapping[str, object], most: int) -> tuple[dict[str, object], list[str]]:
    """Sort out which headers of a message can be sent again.

    Args:
        headers: of a message that has come, those first that matter most.
        most: bytes that they may come to.

    Returns:
        those that can, and the names of the others.
    """
    kept: dict[str, object] = {}
    others: list[str] = []
    for name, value in headers.items():
        try:
            size = len(_short("the name of a header", name)) + len(_value(name, value))
        except (CannotEncode, RecursionError):
            others.append(name)
            continue
        if size <= most:
            most -= size
            kept[name] = value
        else:
            others.append(name)
    return kept, others


def encode_properties(publication: Publication, headers: Mapping[str, object]) -> bytes:
    """Encode the properties of a publication.

    Args:
        publication: the message.
        headers: those that it travels with, in place of its own.

    Raises:
        InvalidMessage: AMQP cannot carry one of them.
    """
    try:
        return encode(
            content_type=publication.content_type,
            content_encoding=publication.content_encoding,
            headers=headers,
            priority=publication.priority,
            correlation_id=publication.correlation_id,
            reply_to=publication.reply_to,
            message_id=publication.message_id,
            timestamp=publication.timestamp,
            type=publication.type,
            app_id=publication.app_id,
        )
    except CannotEncode as error:
        raise InvalidMessage(
            f"the properties of task {publication.type!r} ({publication.message_id}) cannot be "
            f"sent: {error}; headers take text, numbers of 64 bits and truth values, and "
            "names at most 255 bytes"
        ) from error


def check_frame(publication: Publication, size: int, frame_max: int) -> None:
    """See that the properties of a publication fit one frame.

    Args:
        publication: the message.
        size: bytes of its content header frame.
        frame_max: bytes of a frame, as agreed with the broker.

    Raises:
        InvalidMessage: they do not.
    """
    if size > frame_max:
        raise InvalidMessage(
            f"the headers of task {publication.type!r} ({publication.message_id}) come to "
            f"{size} bytes and do not fit one frame of {frame_max}; put large values into the "
            "message"
        )


def check_route(exchange: str, routing_key: str) -> None:
    """See that AMQP can carry a route.

    Raises:
        InvalidMessage: one of the two is too long, or has no form in UTF-8.
    """
    for name in (exchange, routing_key):
        try:
            long = len(name.encode()) > MAX_SHORT
        except UnicodeEncodeError:
            long = True
        if long:
            raise InvalidMessage(
                f"the route {exchange[:60]!r} / {routing_key[:60]!r} cannot be sent: names take at "
                f"most {MAX_SHORT} bytes of UTF-8"
            )


def _add_short(
    pieces: list[bytes], values: Mapping[str, str | None], names: tuple[tuple[str, int], ...]
) -> int:
    flags = 0
    for name, flag in names:
        value = values.get(name)
        if value is not None:
            flags |= flag
            pieces.append(_short(name, value))
    return flags


def _short(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if len(data) > MAX_SHORT:
        raise CannotEncode(f"{name} {value[:40]!r}… is longer than 255 bytes")
    return bytes((len(data),)) + data


def _table(table: Mapping[str, object]) -> bytes:
    pieces: list[bytes] = []
    for key, value in table.items():
        pieces.append(_short("the name of a header", key))
        pieces.append(_value(key, value))
    data = b"".join(pieces)
    return _SIZE.pack(len(data)) + data


def _value(key: str, value: object) -> bytes:
    match value:
        case str():
            data = value.encode("utf-8", "replace")
            return b"S" + _SIZE.pack(len(data)) + data
        case bool():
            return b"t\x01" if value else b"t\x00"
        case int():
            if -(1 << 31) <= value < 1 << 31:
                return _INT_ITEM.pack(b"I", value)
            if -(1 << 63) <= value < 1 << 63:
                return _LONG_ITEM.pack(b"l", value)
            raise CannotEncode(f"header {key!r}: {value} does not fit 64 bits")
        case None:
            return b"V"
        case float():
            if not isfinite(value):  # RabbitMQ ends the connection for it
                raise CannotEncode(f"header {key!r}: {value} is no number")
            return _DOUBLE_ITEM.pack(b"d", value)
        case bytes():
            return b"x" + _SIZE.pack(len(value)) + value
        case Mapping():
            return b"F" + _table(value)
        case list() | tuple():
            data = b"".join([_value(key, item) for item in value])
            return b"A" + _SIZE.pack(len(data)) + data
    raise CannotEncode(f"header {key!r} is a {type(value).__name__}")
