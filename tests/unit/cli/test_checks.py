"""Kinds of values that several verbs take."""

from __future__ import annotations

import click
import pytest

from rmqwork._cli.checks import COUNT, PORT, PREFETCH, SECONDS, SIZE


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (SECONDS, "0", 0.0),
        (SECONDS, "1.5", 1.5),
        (SIZE, "10", 10),
        (SIZE, "1.5GiB", 3 << 29),
        (COUNT, "1", 1),
        (PORT, "0", 0),
        (PREFETCH, "65535", 65535),
    ],
)
def test_what_is_taken(kind: click.ParamType, text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (SECONDS, "-1"),
        (SECONDS, "nan"),
        (SECONDS, "inf"),
        (SECONDS, "soon"),
        (SIZE, "0"),
        (SIZE, "much"),
        (COUNT, "0"),
        (PORT, "65536"),
        (PREFETCH, "0"),
        (PREFETCH, "65536"),
    ],
)
def test_what_is_refused(kind: click.ParamType, text: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)
