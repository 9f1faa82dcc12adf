"""How an executor process ended, in words."""

from __future__ import annotations

import signal

import pytest

from rmqwork._worker.ipc.death import Death


@pytest.mark.parametrize(
    ("death", "text"),
    [
        (Death(7, exit_code=3), "exit code 3"),
        (Death(7, signal=signal.SIGSEGV), "killed by SIGSEGV"),
        (Death(7, signal=35), "killed by signal 35"),  # it has no name
        (Death(error="cannot fork: no memory"), "cannot fork: no memory"),
        (Death(7, exit_code=1, error="the lifespan failed"), "the lifespan failed"),
    ],
)
def test_a_death_in_one_line(death: Death, text: str) -> None:
    assert death.text == text
    assert death.account == (text, "")


def test_one_that_no_signal_has_ended_has_no_signals_name() -> None:
    assert Death(7, exit_code=0).signal_name == ""


def test_the_exception_is_in_the_line_and_the_frames_are_beside_it() -> None:
    frames = 'Traceback (most recent call last):\n  File "app.py", line 3, in life\n    connect()'
    death = Death(error=f"the lifespan failed:\n{frames}\nRuntimeError: no database\nat all\n")

    line, traceback = death.account

    assert line == "the lifespan failed: RuntimeError: no database"
    assert traceback == f"{frames}\nRuntimeError: no database\nat all"


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("SyntaxError: no", "SyntaxError: no"),  # no frame
        ("Traceback:\n  in life", "in life"),  # cut off behind the frame
    ],
)
def test_a_traceback_that_is_cut_off_or_has_no_frames(rest: str, said: str) -> None:
    assert Death(error=f"the app cannot be imported:\n{rest}").account == (
        f"the app cannot be imported: {said}",
        rest,
    )
