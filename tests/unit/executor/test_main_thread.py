"""The main thread runs what it is given, and gives each run the handlers of the lifespan."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from rmqwork._executor.main_thread import MainThread, MainThreadSignals
from rmqwork.types import Success


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


def ignored(number: int, frame: object) -> None: ...


@pytest.mark.usefixtures("handlers")
def test_handlers_and_alarms_of_a_run_end_with_it() -> None:
    signal.signal(signal.SIGTERM, ignored)
    signals = MainThreadSignals()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, ignored)
    signal.alarm(60)

    signals.restore()

    assert signal.getsignal(signal.SIGTERM) is ignored
    assert signal.getsignal(signal.SIGALRM) is not ignored
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.usefixtures("handlers")
def test_those_of_the_lifespan_stay_and_so_does_its_alarm() -> None:
    signals = MainThreadSignals()
    signal.signal(signal.SIGALRM, ignored)
    signal.alarm(60)
    signals.note()

    signals.restore()

    assert signal.getsignal(signal.SIGALRM) is ignored
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0


def test_it_runs_one_thing_at_a_time_and_what_comes_meanwhile_is_for_others() -> None:
    restored: list[str] = []
    main, done = MainThread(lambda: restored.append("restored")), threading.Event()
    started, end = threading.Event(), threading.Event()
    where: list[int] = []

    def work() -> Success:
        where.append(threading.get_ident())
        started.set()
        assert end.wait(10)
        return Success(1.0)

    def hand_over() -> None:
        job = main.take(3, work)
        assert job is not None
        assert started.wait(10)
        assert main.slot == 3
        assert main.take(4, work) is None
        end.set()
        assert job.outcome() == Success(1.0)
        assert main.slot is None
        main.end()
        done.set()

    threading.Thread(target=hand_over).start()
    main.serve()

    assert done.wait(10)
    assert where == [threading.get_ident()]
    assert restored == ["restored"]


def test_what_a_late_handler_raises_does_not_keep_it_from_restoring() -> None:
    late = iter([TimeoutError("the alarm rang"), None])

    def restore() -> None:
        if error := next(late):
            raise error

    assert MainThread(restore).restored(lambda: 5) == 5
    assert next(late, "used up") == "used up"
