"""``rmqwork demo`` on the command line."""

from __future__ import annotations

import pytest

from rmqwork._cli.demo.command import EXIT_CANNOT
from rmqwork._cli.entry import main


def test_without_pillow_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert main(["demo"]) == EXIT_CANNOT
    assert "pip install 'rmqwork[demo]'" in capsys.readouterr().err
