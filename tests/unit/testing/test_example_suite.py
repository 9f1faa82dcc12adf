"""The thumbnails' own test suite, as a user runs it: without a broker."""

from __future__ import annotations

from tests.unit.testing.test_plugin import ROOT, run_pytest


def test_it_passes_without_a_broker():
    code, out = run_pytest(ROOT / "examples")

    assert code == 0, out
    assert "8 passed" in out
