"""The thread that does what is due while the clock goes by itself."""

from __future__ import annotations

import threading
from time import monotonic

from rmqwork._transport.memory.ticker import Ticker
from tests.waiting import until


class Due:
    """Something with moments at which something is due, noted when it is done."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.done: list[float] = []
        self.threads: set[threading.Thread] = set()

    def now(self) -> float:
        return monotonic()

    def tick(self) -> float | None:
        self.threads.add(threading.current_thread())
        now = monotonic()
        self.done += [moment for moment in self.moments if moment <= now]
        self.moments = [moment for moment in self.moments if moment > now]
        return min(self.moments, default=None)


def test_an_earlier_moment_is_not_held_up_by_a_later_one() -> None:
    due = Due()
    ticker = Ticker(due)
    late, soon = monotonic() + 600, monotonic() + 0.02
    for moment in (late, soon):
        due.moments.append(moment)
        ticker.wake_at(moment)

    until(lambda: due.done == [soon], lambda: due.done)

    assert due.moments == [late]
    due.moments = []
    ticker.wake_at(monotonic())  # nothing is due any more: its thread ends


def test_the_thread_ends_when_nothing_is_due_and_another_one_comes_when_something_is() -> None:
    due = Due()
    ticker = Ticker(due)
    for count in (1, 2):
        moment = monotonic() + 0.01
        due.moments.append(moment)
        ticker.wake_at(moment)

        until(lambda count=count: len(due.done) == count, lambda: due.done)  # type: ignore[misc]
        until(lambda: not any(thread.is_alive() for thread in due.threads), "its thread to end")

    assert len(due.threads) == 2
