"""The demo's last words: red when something is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("PIL")

from rmqwork._cli.demo.ledger import Ledger
from rmqwork._cli.demo.report import report
from rmqwork._cli.demo.screen import PlainScreen
from rmqwork._cli.demo.stage import Played


@pytest.mark.parametrize(
    ("lost", "whole", "good"), [((), 1, True), (("b",), 1, False), ((), 0, False)]
)
def test_the_report_is_red_when_something_is_missing(
    lost: Sequence[str], whole: int, good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(1 + len(lost), 1, 0, frozenset(lost), 0, 0, 0)

    assert report(PlainScreen(), Played(ledger, [], 0, [], whole, 1.0)) is good
    assert ("THE LEDGER DOES NOT BALANCE" in capsys.readouterr().out) is not good
