"""`rmqwork dev` and its worker, without processes."""

from __future__ import annotations

import signal
import subprocess

import pytest

from rmqwork._cli.dev import _Reloader


class Started:
    """A worker that notes its signals; the reloader is told to leave while it is being started."""

    told: list[int]

    def __init__(self, reloader: _Reloader, early: list[int]) -> None:
        self.told = []
        for number in early:
            reloader._on_signal(number, None)

    def send_signal(self, number: int) -> None:
        self.told.append(number)

    def poll(self) -> None:
        """It runs."""

    def wait(self) -> int:
        assert self.told, "it is waited for, and nobody has told it to end"
        return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_worker_is_being_started_reaches_it(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    reloader = _Reloader([], [])
    made: list[Started] = []

    def popen(*_: object, **__: object) -> Started:
        made.append(Started(reloader, [number]))
        return made[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)

    reloader._start()

    assert reloader._end() == 0
    assert made[0].told == [number]


def test_a_later_signal_is_handed_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reloader = _Reloader([], [])
    worker = Started(reloader, [])
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: worker)
    reloader._start()

    reloader._on_signal(signal.SIGTERM, None)

    assert reloader._end() == 0
    assert worker.told == [signal.SIGTERM]
