"""As many executors for suspects as there are groups of them, and none for long without."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import pytest

from rmqwork._worker.processes.executor import Executor, State
from rmqwork._worker.processes.isolated import IDLE_TIMEOUT, IsolatedExecutors


class FakeExecutor:
    def __init__(self) -> None:
        self.state = State.READY
        self.outstanding: set[int] = set()

    def exit(self) -> None:
        self.state = State.STOPPING


class IsolatedHarness:
    """Executors for suspects, a clock, and whether one can be forked."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.may_fork = True
        self.forked: list[Any] = []
        self.isolated = IsolatedExecutors(self._fork, lambda: self.now)

    def _fork(self) -> Executor | None:
        if not self.may_fork:
            return None
        self.forked.append(FakeExecutor())
        return cast(Executor, self.forked[-1])


@pytest.fixture
def harness() -> IsolatedHarness:
    return IsolatedHarness()


def test_there_is_one_for_each_group_and_no_more_than_may_be(harness: IsolatedHarness) -> None:
    harness.isolated.scale(1, most=3)
    harness.isolated.scale(1, most=3)
    assert len(harness.forked) == 1

    harness.isolated.scale(9, most=3)
    assert len(harness.forked) == 3
    assert all(one in harness.isolated for one in harness.forked)
    assert object() not in harness.isolated


def test_without_suspects_they_leave_after_a_while(harness: IsolatedHarness) -> None:
    harness.isolated.scale(2, most=2)
    busy, idle = harness.forked
    busy.outstanding.add(1)

    harness.now += IDLE_TIMEOUT
    harness.isolated.scale(0, most=2)
    assert idle.state is State.READY
    harness.now += 0.1
    harness.isolated.scale(0, most=2)

    assert (busy.state, idle.state) == (State.READY, State.STOPPING)


def test_the_wait_begins_when_the_last_suspect_is_gone(harness: IsolatedHarness) -> None:
    harness.isolated.scale(1, most=1)
    harness.now += IDLE_TIMEOUT
    harness.isolated.scale(1, most=1)
    harness.now += 0.1
    harness.isolated.scale(0, most=1)

    assert harness.forked[0].state is State.READY


def test_one_that_cannot_be_forked_now_is_forked_later(harness: IsolatedHarness) -> None:
    harness.may_fork = False
    harness.isolated.scale(1, most=1)
    assert harness.forked == []

    harness.may_fork = True
    harness.isolated.scale(1, most=1)
    assert len(harness.forked) == 1


def test_those_that_die_unused_again_and_again_are_replaced_later_and_later(
    harness: IsolatedHarness,
) -> None:
    times = []
    for _ in range(100):  # looks at the clock, 0.2 s apart
        harness.isolated.scale(1, most=1)
        if harness.forked:
            times.append(harness.now)
            assert harness.isolated.remove(harness.forked.pop())
            harness.isolated.died_unused()
        harness.now += 0.2

    assert 4 <= len(times) <= 24
    waits = [after - before for before, after in pairwise(times)]
    assert waits == sorted(waits)
    assert waits[-1] > 2
    assert not harness.isolated.remove(cast(Executor, FakeExecutor()))
