"""What AMQP cannot carry is refused, with the task's name and what may be sent instead."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rmqwork._transport.amqp.frames import header_frame
from rmqwork._transport.properties import (
    HEADER_FRAME_OVERHEAD,
    CannotEncode,
    check_frame,
    check_route,
    encode,
    encode_properties,
)
from rmqwork.errors import InvalidMessage
from rmqwork.types import Publication


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": {"n": 2**63}},
        {"headers": {"n": -(2**63) - 1}},
        {"headers": {"o": object()}},
        {"headers": {"deep": [{"o": {1, 2}}]}},
        {"headers": {"f": math.nan}},
        {"headers": {"f": [-math.inf]}},
        {"headers": {"ü" * 128: 1}},
        {"priority": -1},
        {"priority": 256},
        {"timestamp": -1},
        {"message_id": "x" * 256},
    ],
)
def test_what_has_no_form_is_said(wrong: dict[str, Any]):
    with pytest.raises(CannotEncode):
        encode(**{"headers": {}, "priority": None, "timestamp": None, **wrong})


@pytest.mark.parametrize(
    ("exchange", "key"), [("x" * 256, "k"), ("", "k" * 256), ("", "\xe9" * 128), ("\ud800", "k")]
)
def test_a_route_that_has_no_form_is_refused(exchange: str, key: str):
    check_route("x" * 255, "\xe9" * 127)

    with pytest.raises(InvalidMessage, match=r"the route .* cannot be sent: names take at"):
        check_route(exchange, key)


def test_properties_beyond_a_frame_are_refused():
    message = Publication("", "q", b"", "id", "shop.add")
    check_frame(message, 100, 100)

    with pytest.raises(InvalidMessage, match=r"task 'shop.add' .id. come to 101 bytes"):
        check_frame(message, 101, 100)


def test_what_cannot_be_encoded_names_its_task():
    message = Publication("", "q", b"", "id", "shop.add")

    with pytest.raises(InvalidMessage, match=r"properties of task 'shop.add' .id. .* header 'n'"):
        encode_properties(message, {"n": 2**64})


def test_the_overhead_is_that_of_a_header_frame():
    encoded = encode_properties(Publication("", "q", b"", "id"), {})

    assert len(header_frame(1, encoded, 0)) == len(encoded) + HEADER_FRAME_OVERHEAD
