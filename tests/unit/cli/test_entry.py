"""The console script."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rmqwork._cli.entry import main

if TYPE_CHECKING:
    pass


def test_an_interrupt_while_the_program_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        """A finder that is asked for the program when Ctrl-C comes."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "rmqwork._cli.program":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "rmqwork._cli.program")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])

    assert main(["--version"]) == 130
