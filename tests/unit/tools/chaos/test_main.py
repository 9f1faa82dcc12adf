"""The command line of a campaign."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tools.chaos import __main__ as program
from tools.chaos.campaign import EXIT_BROKEN, ChaosOptions

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("", ChaosOptions()),
        ("--runs 3 --rate 20", ChaosOptions(seeds=(1, 2, 3), rate=20.0)),
        (
            "--seed 7 --seed 9 --seconds 120 --folder kept -p 4 --image rabbitmq:3.10",
            ChaosOptions(
                seeds=(7, 9),
                seconds=120.0,
                folder=Path("kept"),
                processes=4,
                image="rabbitmq:3.10",
            ),
        ),
    ],
)
def test_the_options_of_a_campaign_and_its_exit_code(
    arguments: str, options: ChaosOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[ChaosOptions] = []
    monkeypatch.setattr(program, "perform", lambda one: given.append(one) or EXIT_BROKEN)

    done = CliRunner().invoke(program.chaos, arguments.split())

    assert given == [options]
    assert done.exit_code == EXIT_BROKEN


def test_the_ledger_needs_the_standard_library_only() -> None:
    # As in a container, into which tools/ is mounted beside an app
    code = "import sys, tools.chaos.ledger; print({'rmqwork', 'click', 'pika'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert done.stdout.strip() == "set()"
