"""Errors in one line, and their exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rmqwork._cli.failing import exit_code, one_line
from rmqwork.errors import (
    BrokerUnavailable,
    ConfigurationError,
    InvalidMessage,
    PublishError,
    TopologyMismatch,
)

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (TopologyMismatch("x", ["a", "b"]), 2),
        (BrokerUnavailable("x"), 4),
        (PublishError("x"), 1),
        (InvalidMessage("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_exit_codes(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_many_lines_become_one() -> None:
    error = TopologyMismatch("does not suit:", ["queue 'a': x", "queue 'b': y"])
    assert one_line(error) == "does not suit: queue 'a': x; queue 'b': y"


def test_an_embedded_traceback_becomes_its_last_line_and_place() -> None:
    story = (
        'Traceback (most recent call last):\n  File "/a/b.py", line 7, in f\n    g()\nKeyError: 1'
    )
    said = one_line(ConfigurationError(f"cannot import 'b':\n{story}"))
    assert said == ("cannot import 'b': KeyError: 1 (/a/b.py, line 7); --debug shows the traceback")


def test_what_was_said_before_a_traceback_is_not_said_again() -> None:
    story = (
        'Traceback (most recent call last):\n  File "/a/b.py", line 7, in f\n    g()\nKeyError: 1'
    )
    said = one_line(
        ConfigurationError(f"'b' cannot be imported: KeyError: 1 (b.py, line 3)\n{story}")
    )
    assert said == (
        "'b' cannot be imported: KeyError: 1 (b.py, line 3); --debug shows the traceback"
    )


def test_an_errors_text_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in one_line(InvalidMessage("field \x1b[2J"))
    assert "\x1b" not in one_line(ValueError("\x1b[2J"))
