from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rmqwork import ConfigurationError, InvalidMessage
from rmqwork._messages.options import NO_OPTIONS, check_headers, merge, parse

NOW = 1_800_000_000.0


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


@pytest.mark.parametrize(
    ("given", "due"),
    [
        ({}, None),
        ({"countdown": None}, None),
        ({"countdown": 0}, None),
        ({"countdown": 1.5}, NOW + 1.5),
        ({"countdown": timedelta(minutes=1)}, NOW + 60),
        ({"eta": at(10)}, NOW + 10),
        ({"eta": at(-10)}, None),
        ({"countdown": 300 * 86400}, NOW + 300 * 86400),
    ],
)
def test_when_it_is_due(given, due):
    assert parse(given, "x", NOW).due(NOW) == due


@pytest.mark.parametrize(
    ("expires", "when"),
    [(10, NOW + 10), (timedelta(seconds=5), NOW + 5), (at(-3), NOW - 3), (-1, NOW - 1)],
)
def test_when_it_expires(expires, when):
    assert parse({"expires": expires}, "x", NOW).expiry(NOW) == when
    assert NO_OPTIONS.expiry(NOW) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"countdwon": 1}, "unknown option 'countdwon'; there are countdown, eta"),
        ({"callback": 1}, "unknown option 'callback'"),
        ({"countdown": 1, "eta": at(1)}, "countdown and eta exclude each other"),
        ({"queue": "a", "exchange": "b"}, "exchange and queue exclude each other"),
        ({"queue": "a", "routing_key": "b"}, "queue and routing_key exclude each other"),
        ({"routing_key": "b"}, "routing_key needs exchange"),
        ({"countdown": -1}, "countdown is -1 s; it cannot be negative"),
        ({"countdown": float("nan")}, "countdown is a number of seconds"),
        ({"countdown": "5"}, "countdown is a number of seconds"),
        ({"countdown": True}, "countdown is a number of seconds"),
        ({"countdown": 301 * 86400}, "more than 300 days"),
        ({"eta": datetime(2030, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"eta": 5}, "eta is a datetime"),
        ({"eta": at(301 * 86400)}, "more than 300 days away"),
        ({"expires": datetime(2030, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"expires": "soon"}, "expires is a number of seconds"),
        ({"timeout": 0}, "timeout is 0 s; it must be above 0"),
        ({"priority": 256}, "priority is a number from 0 to 255"),
        ({"priority": "high"}, "priority is a number from 0 to 255"),
        ({"task_id": ""}, "task_id is a text"),
        ({"queue": ""}, "queue is a text"),
        ({"queue": 3}, "queue is a text"),
    ],
)
def test_wrong_options_are_refused_with_the_call(given, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        parse(given, "task 'shop.add'", NOW)

    assert str(caught.value).startswith("task 'shop.add': ")


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"a": 1.5}, "header 'a' is a float"),
        ({"a": None}, "header 'a' is a NoneType"),
        ({"a": {}}, "header 'a' is a dict"),
        ({"a": 1 << 63}, "does not fit 64 bits"),
        ({"a": "\ud800"}, "cannot be encoded"),
        ({"\ud800": 1}, "cannot be encoded"),
        ({"": 1}, "1 to 255 bytes"),
        ({"x" * 256: 1}, "1 to 255 bytes"),
        ({3: 1}, "1 to 255 bytes"),
        ({"rmqwork-attempt": 1}, "not for applications"),
        ({"x-death": 1}, "not for applications"),
        ({"CC": "q"}, "not for applications"),
        ({"a": "x" * 40_000}, "under 32 KiB"),
        ([1], "headers are a mapping"),
    ],
)
def test_headers_that_amqp_cannot_carry_are_refused(headers, says):
    with pytest.raises(InvalidMessage, match=says):
        check_headers(headers, "x")


def test_good_headers_pass():
    good: dict[str, Any] = {"a": -(1 << 63), "b": True, "traceparent": "00-…", "c": ""}

    assert check_headers(good, "x") == good


def test_names_above_255_bytes_are_refused():
    for name in ("queue", "exchange", "task_id"):
        with pytest.raises(InvalidMessage, match="longer than 255 bytes"):
            parse({name: "ä" * 128}, "x", NOW)


def test_later_options_put_their_rivals_aside():
    base = parse({"exchange": "e", "routing_key": "k", "countdown": 5, "priority": 1}, "x", NOW)

    merged = merge(base, {"queue": "q", "eta": at(9)}, "x", NOW)

    assert dict(merged.given) == {"queue": "q", "eta": at(9), "priority": 1}
    assert merge(NO_OPTIONS, {}, "x", NOW) is NO_OPTIONS
    assert merge(merged, {"priority": 3}, "x", NOW).priority == 3
