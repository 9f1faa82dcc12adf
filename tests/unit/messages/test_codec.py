from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, Field, computed_field, field_validator

from rmqwork import InvalidMessage, TaskMessage, UnknownTask
from rmqwork._messages import headers
from rmqwork._messages.codec import (
    MAX_MESSAGE_SIZE,
    MessageBody,
    dump_fields,
    dump_message,
    make_publication,
    plain_body,
    version_of,
)
from rmqwork._messages.options import NO_OPTIONS, parse
from rmqwork._messages.routing import Route

T = TypeVar("T")
NOW = 1_800_000_000.25
ROUTE = Route("rmqwork.tasks", "low")


class Resize(TaskMessage, name="images.resize", version=3):
    width: int = Field(gt=0, alias="w")
    raw: bytes = b""
    ratio: float = 1.0


@Resize.upcast(1)
def from_1(fields: dict[str, Any]) -> dict[str, Any]:
    return {"size": fields.pop("s"), **fields}


@Resize.upcast(2)
def from_2(fields: dict[str, Any]) -> dict[str, Any]:
    return {"w": fields.pop("size"), **fields}


BODY = MessageBody(Resize)


def test_a_message_comes_back_as_it_was():
    message = Resize(w=3, raw=b"\xff\xfe", ratio=float("inf"))

    body = dump_message(message)

    assert json.loads(body) == {"w": 3, "raw": "__4=", "ratio": "Infinity"}
    assert BODY.load(body, 3) == message


def test_nested_types_come_back_as_they_were():
    class Inner(BaseModel):
        raw: bytes

    class Outer(TaskMessage, Generic[T], name="outer"):
        inner: Inner
        values: list[T]

    message = Outer[int](inner=Inner(raw=b"abcd"), values=[1])

    assert MessageBody(Outer[int]).load(dump_message(message), 1) == message


def test_computed_fields_stay_at_home():
    class Square(TaskMessage, name="square"):
        side: int

        @computed_field
        def area(self) -> int:
            return self.side**2

    assert dump_message(Square(side=2)) == b'{"side":2}'


def test_an_older_body_is_brought_up_to_date():
    assert BODY.load(b'{"s":5}', 1) == Resize(w=5)
    assert BODY.load(b'{"size":5}', 2) == Resize(w=5)


def test_a_version_without_upcaster_is_left_to_pydantic():
    class Grown(TaskMessage, name="grown", version=2):
        x: int

    assert MessageBody(Grown).load(b'{"x":1}', 1) == Grown(x=1)


def test_a_newer_version_is_unknown():
    with pytest.raises(UnknownTask, match=r"version 4 of 'images\.resize' is newer"):
        BODY.load(b"{}", 4)


@pytest.mark.parametrize(
    ("body", "version", "says"),
    [
        (b"", 3, "Invalid JSON"),
        (b"\xff\x00", 3, "Invalid JSON"),
        (b"[]", 3, "should be an object"),
        (b"{}", 3, "w: Field required"),
        (b'{"w":1,"q":2}', 3, "q: Extra inputs"),
        (b'{"w":-1}', 3, "w: Input should be greater than 0"),
        (b"not json", 1, "Invalid JSON"),
        (b"[]", 1, "list, not an object"),
        (b"{}", 1, "KeyError"),
        (b"{}", 0, "there is no version 0"),
    ],
)
def test_a_bad_body_is_invalid_in_a_few_words(body, version, says):
    with pytest.raises(InvalidMessage, match=says) as caught:
        BODY.load(body, version)

    assert len(str(caught.value)) < 300


def test_a_validator_that_raises_anything_makes_the_message_invalid():
    class Strange(TaskMessage, name="strange"):
        x: int

        @field_validator("x")
        @classmethod
        def check(cls, value: int) -> int:
            raise KeyError("what?")

    with pytest.raises(InvalidMessage, match="KeyError: 'what\\?'"):
        MessageBody(Strange).load(b'{"x":1}', 1)


def test_properties_are_those_of_the_wire_format():
    publication = make_publication("t", b"{}", ROUTE, NO_OPTIONS, now=NOW, app_id="shop")

    assert (publication.exchange, publication.routing_key) == ("rmqwork.tasks", "low")
    assert publication.type == "t"
    assert publication.content_type == "application/json"
    assert publication.timestamp == 1_800_000_000
    assert publication.app_id == "shop"
    assert publication.headers == {}
    assert publication.due is None
    assert len(publication.message_id) == 36


def test_only_what_is_needed_is_a_header():
    options = parse({"expires": 2.5, "countdown": 4, "headers": {"a": 1}}, "x", NOW)

    publication = make_publication("t", b"{}", ROUTE, options, now=NOW, app_id=None, version=2)

    assert publication.headers == {
        "a": 1,
        headers.VERSION: 2,
        headers.EXPIRES_AT: 1_800_000_002_750,
    }
    assert publication.due == NOW + 4


def test_a_body_above_the_limit_is_refused_with_advice():
    fits, over = b"x" * MAX_MESSAGE_SIZE, b"x" * (MAX_MESSAGE_SIZE + 1)

    make_publication("t", fits, ROUTE, NO_OPTIONS, now=NOW, app_id=None)

    with pytest.raises(InvalidMessage, match=r"16,777,217 bytes.*send a reference"):
        make_publication("t", over, ROUTE, NO_OPTIONS, now=NOW, app_id=None)


def test_a_value_that_json_cannot_hold_is_refused():
    class Loose(TaskMessage, name="loose"):
        it: Any

    for dump in (lambda: dump_message(Loose(it=object())), lambda: dump_fields("x", {"a": object})):
        with pytest.raises(InvalidMessage, match="Unable to serialize"):
            dump()
    with pytest.raises(InvalidMessage, match="an object of fields"):
        dump_fields("x", [1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content_type", "encoding", "says"),
    [
        ("text/plain", None, "content_type 'text/plain'"),
        ("application/x-python-serialize", None, "content_type"),
        ("application/json", "gzip", "content_encoding 'gzip'"),
        ("application/json", "zstd", "its body is not zstd"),
        ("application/json", "x" * 9000, "content_encoding"),
    ],
)
def test_other_content_is_refused(content_type, encoding, says):
    with pytest.raises(InvalidMessage, match=says) as caught:
        plain_body(b"{}", content_type, encoding)

    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("content_type", [None, "application/json", "Application/JSON; charset=x"])
def test_json_is_accepted_however_it_is_written(content_type):
    assert plain_body(b"{}", content_type, "utf-8") == b"{}"


def test_a_version_is_a_number():
    assert version_of(None) == 1
    assert version_of(3) == 3
    for wrong in ("2", True, 1.0, b"1"):
        with pytest.raises(InvalidMessage, match="not a number"):
            version_of(wrong)
