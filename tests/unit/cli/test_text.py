"""Text that is safe on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from rmqwork._cli.text import brief_moment, cut, moment, plain


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("plain text, 100 %", "plain text, 100 %"),
        ("Grüße, 日本語 🙂", "Grüße, 日本語 🙂"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("C1: \x9b31m", r"C1: \x9b31m"),
        ("a\rb\x08c\x7f", r"a\rb\x08c\x7f"),
        ("one\ntwo\tthree", r"one\ntwo\tthree"),
        ("right to left: \u202eevil", r"right to left: \u202eevil"),
        ("zero\u200bwidth\u2028line", r"zero\u200bwidth\u2028line"),
        ("lone surrogate \ud800", r"lone surrogate \ud800"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(given: str, printed: str) -> None:
    assert plain(given) == printed


def test_lines_are_kept_where_they_are_wanted() -> None:
    assert plain("one\r\n\ttwo\x1b\n", lines=True) == "one\n    two\\x1b\n"
    assert plain("over\rwritten", lines=True) == r"over\rwritten"


def test_cut_says_that_something_is_missing() -> None:
    assert cut("12345", 5) == "12345"
    assert cut("123456", 5) == "1234…"


def test_moments_are_in_utc() -> None:
    at = datetime(2030, 1, 31, 8, 0, tzinfo=timezone(timedelta(hours=1)))
    assert moment(at) == "2030-01-31 07:00:00"
    assert moment(None) == "-"
    assert brief_moment(at, datetime(2030, 5, 1, tzinfo=UTC)) == "01-31 07:00:00"
    assert brief_moment(at, datetime(2031, 5, 1, tzinfo=UTC)) == "2030-01-31 07:00:00"
