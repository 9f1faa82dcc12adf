"""Properties as bytes: what goes out comes back, and nothing that comes in can raise."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import spec

from rmqwork._transport.amqp.properties import decode
from rmqwork._transport.properties import encode

short = st.text(max_size=60)
SHORT = ["content_type", "content_encoding", "correlation_id", "reply_to", "expiration"]
SHORT += ["message_id", "type", "user_id", "app_id", "cluster_id"]
scalars = (
    st.text()
    | st.binary()
    | st.booleans()
    | st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(short, inner, max_size=4),
    max_leaves=12,
)


def clean(value: Any) -> Any:
    """What has no form in UTF-8 goes out as a question mark."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, bytes):  # a byte array and a text are told apart by their type
        return value
    return value


def encoded(headers: dict[str, object] | None = None, **rest: Any) -> bytes:
    return encode(**{"headers": headers or {}, "priority": None, "timestamp": None, **rest})


@given(st.dictionaries(short, values, max_size=6))
def test_headers_come_back_as_they_went(headers: dict[str, Any]):
    got = decode(encoded(headers)).headers or {}

    assert got == clean(headers)
    assert {key: type(value) for key, value in got.items()} == {
        key: type(value) for key, value in clean(headers).items()
    }


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "content_type",
                "content_encoding",
                "correlation_id",
                "reply_to",
                "expiration",
                "message_id",
                "type",
                "user_id",
                "app_id",
                "cluster_id",
            ),
            short,
        ),
    ),
    st.none() | st.integers(0, 255),
    st.none() | st.integers(0, 2**64 - 1),
)
def test_properties_come_back_as_they_went(
    given_: dict[str, str], priority: int | None, timestamp: int | None
):
    got = decode(encoded(priority=priority, timestamp=timestamp, **given_))

    assert (got.priority, got.timestamp, got.delivery_mode) == (priority, timestamp, 2)
    for name in SHORT:
        assert getattr(got, name) == clean(given_.get(name))


@given(st.dictionaries(short, st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans()))
def test_pika_reads_what_we_write(headers: dict[str, Any]):
    theirs = spec.BasicProperties()
    theirs.decode(encoded(headers, message_id="id", type="t", priority=3, timestamp=17))

    assert (theirs.headers or {}) == clean(headers)
    assert (theirs.message_id, theirs.type, theirs.priority) == ("id", "t", 3)
    assert (theirs.timestamp, theirs.delivery_mode) == (17, 2)


@given(st.dictionaries(short, st.text() | st.integers(-(2**63), 2**63 - 1) | st.none()))
def test_we_read_what_pika_writes(headers: dict[str, Any]):
    theirs = spec.BasicProperties(headers=clean(headers), message_id="id", expiration="9")

    ours = decode(b"".join(theirs.encode()))

    assert (ours.headers, ours.message_id, ours.expiration) == (clean(headers), "id", "9")


@given(st.binary(max_size=300))
def test_random_bytes_never_raise(data: bytes):
    decode(data)


@given(st.dictionaries(short, values, max_size=3), st.data())
def test_damaged_bytes_never_raise(headers: dict[str, Any], data: st.DataObject):
    whole = bytearray(encoded(headers, message_id="id"))
    at = data.draw(st.integers(2, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))

    decode(bytes(whole))
    decode(bytes(whole[:at]))


def raw(field: bytes) -> Any:
    """The value of a header ``h`` that came as these bytes (its type first), and one behind it."""
    table = b"\x01h" + field + b"\x04nextt\x01"
    data = b"\x20\x00" + struct.pack(">I", len(table)) + table
    headers = decode(data).headers
    assert headers is not None
    if "h" in headers:
        assert headers["next"] is True
    return headers.get("h", "left out")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"b\xff", -1),
        (b"B\xff", 255),
        (b"s\xff\xfe", -2),
        (b"u\xff\xfe", 65534),
        (b"I\xff\xff\xff\xff", -1),
        (b"i\xff\xff\xff\xff", 2**32 - 1),
        (b"l\x80" + bytes(7), -(2**63)),
        (b"f\x3f\xc0\x00\x00", 1.5),
        (b"d\x7f\xf0" + bytes(6), math.inf),
        (b"D\x02\x00\x00\x01\x2c", "3.00"),
        (b"T" + struct.pack(">Q", 0), "1970-01-01T00:00:00+00:00"),
        (b"T" + struct.pack(">Q", 2**63), 2**63),
        (b"S\x00\x00\x00\x02\xff\xfe", b"\xff\xfe"),
        (b"?", "left out"),
    ],
)
def test_fields_of_other_clients_are_read(field: bytes, value: object):
    assert raw(field) == value


def test_not_a_number_is_read():
    assert math.isnan(raw(b"d\x7f\xf8" + bytes(6)))


def test_what_is_nested_too_deep_is_left_out():
    """As deep as a frame can hold: no recursion ends the connection."""
    field = b"V"
    for _ in range(20_000):
        field = b"A" + struct.pack(">I", len(field)) + field

    value = raw(field)

    depth = 0
    while isinstance(value, list) and value:
        value, depth = value[0], depth + 1
    assert 10 < depth < 100
    assert value is None


def test_a_text_that_is_no_utf8_takes_no_more_room_than_it_came_in():
    """So that it can go out again, to the dead-letter queue."""
    properties = decode(b"\x00\x80\xff" + b"\xff\xfe" * 127 + b"\xff")

    assert properties.message_id == "?" * 255
    assert decode(encoded(message_id=properties.message_id)).message_id == "?" * 255
