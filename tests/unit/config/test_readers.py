"""Readers of settings: what they take, and what they say of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import pytest

from rmqwork._config import readers


@pytest.mark.parametrize(
    ("read", "said", "value"),
    [
        (readers.text, "shop.app:app", "shop.app:app"),
        (readers.truth, "Yes", True),
        (readers.truth, "0", False),
        (readers.truth, True, True),
        (readers.count(1, 3), "3", 3),
        (readers.count(1, 3), 1.0, 1),
        (readers.seconds(above=True), "0.5", 0.5),
        (readers.seconds(above=False), 0, 0.0),
        (readers.size, "10kB", 10_000),
        (readers.size, 7, 7),
        (readers.one_of(Literal["asyncio", "uvloop"]), "uvloop", "uvloop"),
        (readers.web_address, "https://a:15672", "https://a:15672"),
        (readers.broker_addresses, " amqp://a/ ,memory://b", ("amqp://a/", "memory://b")),
        (readers.broker_addresses, ["amqps://a/"], ("amqps://a/",)),
    ],
)
def test_what_is_taken(read: Callable[[object], object], said: object, value: object) -> None:
    found = read(said)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("read", "said", "text"),
    [
        (readers.text, "", "'' is no text"),
        (readers.text, 3, "3 is no text"),
        (readers.truth, "maybe", "'maybe' is neither true nor false"),
        (readers.count(1, 3), 4, "4 must be a whole number from 1 to 3"),
        (readers.count(1, 3), True, "True is no number"),
        (readers.seconds(above=True), 0, "0 must be above 0 seconds"),
        (readers.seconds(above=False), "-1", "must be 0 or more seconds"),
        (readers.seconds(above=False), float("nan"), "nan is no number"),
        (readers.size, 0, "whole number from 1"),
        (readers.one_of(Literal["asyncio", "uvloop"]), "trio", "'trio' is not one of asyncio, uvl"),
        (readers.web_address, "amqp://guest:secret@a", "'amqp://guest:\\*\\*\\*@a' is no address"),
        (readers.broker_addresses, [], "a broker is an address such as"),
        (readers.broker_addresses, "redis://:secret@a", "'redis://:\\*\\*\\*@a' is no broker's"),
    ],
)
def test_what_is_refused(read: Callable[[object], object], said: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read(said)


def test_a_field_of_settings_has_its_default_and_its_reader() -> None:
    @dataclass
    class Options:
        count: int = readers.setting(3, readers.count(1))

    [one] = fields(Options)
    assert Options().count == 3
    assert one.metadata["read"]("4") == 4
