"""The numbers of a queue while the demo runs."""

from __future__ import annotations

from rmqwork._cli.demo.watch import View


def test_what_is_neither_settled_nor_waiting_runs_or_is_delayed() -> None:
    view = View("q", published=10, done=3, dead=1, retries=5, waiting=2)

    assert (view.settled, view.elsewhere) == (4, 4)
