"""What exchanges and queues may be called."""

from __future__ import annotations

import math

import pytest

from rmqwork._topology.naming import check_above_0, check_name
from rmqwork.errors import ConfigurationError


@pytest.mark.parametrize("name", ["q", "shop.orders", "größe", "with space", "x" * 255])
def test_names_that_queues_can_have(name: str) -> None:
    check_name("queue", name)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("queue", "", "a queue needs a name"),
        ("exchange", None, "an exchange needs a name"),
        ("queue", 7, "is not a text"),
        ("queue", "a\nb", "characters that no one can see"),
        ("queue", "a,b", "a name has no comma"),
        ("queue", "é" * 128, "longer than 255 bytes"),
        ("exchange", "amq.mine", "the prefix 'amq.' is the broker's own"),
    ],
)
def test_names_that_they_cannot_have(kind: str, name: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_name(kind, name)


def test_a_comma_is_in_the_names_of_exchanges_only() -> None:
    check_name("exchange", "a,b")


def test_room_is_left_for_names_that_are_made_of_it() -> None:
    check_name("queue", "x" * 250, room=5)
    with pytest.raises(ConfigurationError, match="longer than 250 bytes"):
        check_name("queue", "x" * 251, room=5)


@pytest.mark.parametrize(("name", "value"), [("max_length", 1), ("max_length", None)])
def test_limits_above_0(name: str, value: object) -> None:
    check_above_0("q", name, value)
    check_above_0("q", "message_ttl", 0.5)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_length", 0, "must be above 0"),
        ("max_length", -1, "must be above 0"),
        ("message_ttl", math.inf, "must be above 0"),
        ("message_ttl", math.nan, "must be above 0"),
        ("max_length", 0.5, "is a number, not 0.5"),
        ("max_length", True, "is a number, not True"),
        ("max_length", "1", "is a number, not '1'"),
    ],
)
def test_limits_that_are_none(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"queue 'q': {name} {said}"):
        check_above_0("q", name, value)
