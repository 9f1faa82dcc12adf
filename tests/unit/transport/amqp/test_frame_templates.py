"""Messages that are alike: the same bytes as by the plain way, for any properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import spec

from rmqwork._messages.ids import uuid7
from rmqwork._transport.amqp import frame_templates
from rmqwork._transport.amqp.frame_templates import FrameTemplates
from rmqwork._transport.amqp.frames import body_frames, header_frame, method_frame
from rmqwork._transport.properties import encode
from rmqwork.errors import InvalidMessage
from rmqwork.types import Publication

CHANNEL, BODY_MAX = 7, 131064
# The place of the id is 36 characters of 1: a text full of these has to be told from it.
text = st.text(max_size=40) | st.text(alphabet="\x01$", min_size=30, max_size=80)
publications = st.builds(
    Publication,
    exchange=st.text(alphabet="abc.", max_size=20),
    routing_key=st.text(alphabet="abc.", max_size=20),
    body=st.binary(max_size=300),
    message_id=st.uuids().map(str) | text,
    type=st.none() | text,
    headers=st.just({}) | st.dictionaries(text, st.integers(-5, 5), max_size=2),
    priority=st.none() | st.integers(0, 255),
    content_type=st.none() | text,
    content_encoding=st.none() | text,
    correlation_id=st.none() | text,
    reply_to=st.none() | text,
    timestamp=st.none() | st.integers(0, 2**40),
    app_id=st.none() | text,
)


def header(publication: Publication) -> bytes:
    encoded = encode(
        headers=publication.headers,
        priority=publication.priority,
        timestamp=publication.timestamp,
        content_type=publication.content_type,
        content_encoding=publication.content_encoding,
        correlation_id=publication.correlation_id,
        reply_to=publication.reply_to,
        message_id=publication.message_id,
        type=publication.type,
        app_id=publication.app_id,
    )
    return header_frame(CHANNEL, encoded, len(publication.body))


def method(publication: Publication) -> bytes:
    exchange, key = publication.exchange, publication.routing_key
    return method_frame(CHANNEL, spec.Basic.Publish(0, exchange, key, mandatory=True))


def plainly(publication: Publication) -> bytes:
    frames = body_frames(CHANNEL, publication.body, BODY_MAX)
    return b"".join((method(publication), header(publication), *frames))


def fill(made: FrameTemplates, publication: Publication) -> bytes | None:
    return made.fill(
        publication,
        lambda place: (
            method(publication),
            header(replace(publication, message_id=place, body=b"")),
        ),
    )


@given(publications, st.lists(st.tuples(st.uuids().map(str), st.binary(max_size=99)), max_size=3))
def test_the_bytes_are_those_of_the_plain_way(first: Publication, more: list[tuple[str, bytes]]):
    made = FrameTemplates(CHANNEL, BODY_MAX)

    for one in (first, *(replace(first, message_id=key, body=body) for key, body in more)):
        assert fill(made, one) in (None, plainly(one))


def usual(**changed: Any) -> Publication:
    return replace(
        Publication("x", "q", b"{}", uuid7(), type="t", timestamp=1, app_id="a"), **changed
    )


def test_a_usual_message_is_encoded_once_a_kind():
    made, asked = FrameTemplates(CHANNEL, BODY_MAX), []

    def frames(place: str) -> tuple[bytes, bytes]:
        asked.append(place)
        return method(usual()), header(usual(message_id=place, body=b""))

    for _ in range(3):
        one = usual()
        assert made.fill(one, frames) == plainly(one)

    assert len(asked) == 1


@pytest.mark.parametrize(
    "unusual",
    [
        {"headers": {"a": 1}},
        {"message_id": "short"},
        {"message_id": "ü" * 36},
        {"body": b""},
        {"body": b"x" * (frame_templates._MAX_SIZE + 1)},
        {"correlation_id": "c"},
        {"type": frame_templates._PLACE},
    ],
)
def test_what_is_unusual_goes_the_plain_way(unusual: dict[str, Any]):
    assert fill(FrameTemplates(CHANNEL, BODY_MAX), usual(**unusual)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"exchange": "y"},
        {"routing_key": "r"},
        {"type": "u"},
        {"timestamp": 2},
        {"timestamp": None},
        {"priority": 0},
        {"app_id": None},
        {"content_type": "text/plain"},
        {"content_encoding": "gzip"},
        {"reply_to": "r"},
    ],
)
def test_each_property_has_a_mould_of_its_own(changed: dict[str, Any]):
    made = FrameTemplates(CHANNEL, BODY_MAX)
    fill(made, usual())

    assert fill(made, other := usual(**changed)) == plainly(other)


def test_what_cannot_be_encoded_is_said_each_time():
    made = FrameTemplates(CHANNEL, BODY_MAX)

    def frames(place: str) -> tuple[bytes, bytes]:
        raise InvalidMessage("no")

    for _ in range(2):
        with pytest.raises(InvalidMessage):
            made.fill(usual(), frames)


def test_the_templates_are_bounded():
    made = FrameTemplates(CHANNEL, BODY_MAX)

    for second in range(frame_templates._KEPT + 10):
        fill(made, usual(timestamp=second))

    assert len(made._known) <= frame_templates._KEPT
