"""What people see of the demo."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from rmqwork._cli.demo.ledger import Balance
from rmqwork._cli.demo.report import LiveScreen, Screen, further, report
from rmqwork._cli.demo.steps import Played, View
from tests.unit.admin.deadletters.dead_letters import letter

VIEW = View("low_priority", published=10, done=3, dead=1, retries=5, waiting=2)


@pytest.mark.parametrize(
    ("lost", "whole", "good"), [((), 1, True), (("b",), 1, False), ((), 0, False)]
)
def test_the_report_is_red_when_something_is_missing(
    lost: Sequence[str], whole: int, good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    balance = Balance(1 + len(lost), 1, 0, frozenset(lost), 0, 0, 0)

    assert report(Screen(), Played(balance, [], 0, whole, [], 1.0)) is good
    assert ("THE LEDGER DOES NOT BALANCE" in capsys.readouterr().out) is not good


def test_the_report_shows_one_dead_letter_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    balance = Balance(3, 0, 3, frozenset(), 0, 0, 0)
    letters = [letter(), letter(), letter(rmqwork_error_type="x.Busy")]

    assert report(Screen(), Played(balance, letters, 4, 0, ["low-1: exit code 0"], 1.0))

    printed = capsys.readouterr().out
    assert "published = executed + dead-lettered: 3 = 0 + 3, lost = 0" in printed
    assert "     2  failed      attempt 3  ValueError: bad" in printed
    assert "     1  failed      attempt 3  Busy: bad" in printed
    assert "low-1: exit code 0" in printed


def test_plain_lines_are_two_seconds_apart_and_the_last_view_is_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()

    with screen.watching():
        for _ in range(5):
            screen.show([VIEW])

    lines = capsys.readouterr().out.splitlines()
    said = "low_priority done 3 retries 5 dead letters 1 waiting 2 running or delayed 4"
    assert [" ".join(line.split()) for line in lines] == [said, said]


@pytest.mark.parametrize(("width", "all_of_it"), [(80, False), (140, True)])
def test_a_bar_has_what_fits_the_terminal(width: int, all_of_it: bool) -> None:
    file = io.StringIO()
    screen = LiveScreen(Console(file=file, width=width, force_terminal=True, color_system=None))

    assert list(screen.track("abc", 3)) == ["a", "b", "c"]
    with screen.watching():
        screen.show([VIEW])
        screen.say("said")

    shown = file.getvalue()
    assert "done     3 retries    5 dead letters   1 waiting     2" in shown
    assert ("running or delayed    4" in shown) is all_of_it
    assert "said" in shown
    assert "…" not in shown


def test_where_to_look_further() -> None:
    text = further(Path("/tmp/demo/broker"), [letter()])

    assert "RMQWORK_BROKER=$(cat /tmp/demo/broker)" in text
    assert "rmqwork dlq show id1" in text
