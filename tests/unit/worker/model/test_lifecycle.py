"""A worker that stops does not start again."""

from __future__ import annotations

from rmqwork._worker.model.lifecycle import Lifecycle


def test_it_stops_once_and_for_all() -> None:
    lifecycle = Lifecycle()
    assert not lifecycle.stopping
    lifecycle.stop()
    lifecycle.stop()
    assert lifecycle.stopping
