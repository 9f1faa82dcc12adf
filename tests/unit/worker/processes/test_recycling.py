"""Which executor is replaced, when, and that there is always one in its place."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from typing import Any, cast

import pytest

from rmqwork._worker.processes.executor import Executor, State
from rmqwork._worker.processes.recycling import Recycling, resident

_ids = count(100_000)


class FakeExecutor:
    def __init__(self) -> None:
        self.pid = next(_ids)
        self.state = State.READY
        self.finished = 0
        self.outstanding: set[int] = set()
        self.killed = False

    def kill(self) -> None:
        self.killed = True


class RecyclingHarness:
    """Executors, their memory, and a clock."""

    def __init__(self, max_tasks: int | None = None, max_memory: int | None = None) -> None:
        self.now = 0.0
        self.memory: dict[int, int] = {}
        self.forked: list[Any] = []
        self.retired: list[Any] = []
        self.can_fork = True
        self.recycling = Recycling(
            max_tasks,
            max_memory,
            self._fork,
            self.retired.append,
            resident=self.memory.get,
            clock=lambda: self.now,
        )

    def _fork(self) -> Executor | None:
        if not self.can_fork:
            return None
        new = FakeExecutor()
        new.state = State.STARTING
        self.forked.append(new)
        return cast(Executor, new)

    def executor(self, finished: int = 0, memory: int = 0) -> Any:
        one = FakeExecutor()
        one.finished = finished
        self.memory[one.pid] = memory
        return one

    def watch(self, *executors: Any) -> None:
        self.now += 1.0
        self.recycling.watch(executors)

    def become_ready(self) -> Any:
        new = self.forked[-1]
        new.state = State.READY
        self.recycling.ready(new)
        return new


def test_one_leaves_after_its_tasks_when_its_replacement_is_ready():
    harness = RecyclingHarness(max_tasks=10)
    old = harness.executor(finished=9)
    harness.recycling.look(old)
    assert not harness.forked

    old.finished = 10
    harness.recycling.look(old)
    assert len(harness.forked) == 1
    assert not harness.retired
    harness.become_ready()

    assert harness.retired == [old]
    assert harness.recycling.died(old), "it has been replaced"


def test_one_at_a_time():
    harness = RecyclingHarness(max_tasks=10)
    one, two = harness.executor(finished=10), harness.executor(finished=10)
    for executor in (one, two, one, two):
        harness.recycling.look(executor)
    assert len(harness.forked) == 1

    harness.become_ready()
    for executor in (one, two, one, two):
        harness.recycling.look(executor)
    harness.become_ready()

    assert harness.retired == [one, two]
    assert len(harness.forked) == 2


def test_one_that_has_grown_too_large_leaves_but_not_before_its_first_task():
    harness = RecyclingHarness(max_memory=100)
    old = harness.executor(memory=101)
    harness.watch(old)
    assert not harness.forked

    old.finished = 1
    harness.memory[old.pid] = 100
    harness.watch(old)
    assert not harness.forked
    harness.memory[old.pid] = 101
    harness.watch(old)
    harness.become_ready()

    assert harness.retired == [old]


def test_a_limit_below_what_the_app_takes_is_told_once(caplog: pytest.LogCaptureFixture):
    harness = RecyclingHarness(max_memory=100)
    old = harness.executor(memory=101)
    for _ in range(3):
        harness.watch(old)

    assert [r.message for r in caplog.records if "max_memory is" in r.message] != []
    assert len(caplog.records) == 1


def test_a_replacement_that_dies_leaves_the_old_one_where_it_is():
    harness = RecyclingHarness(max_tasks=10)
    old = harness.executor(finished=10)
    harness.recycling.look(old)

    assert harness.recycling.died(harness.forked[0]), "the old one is still there"

    assert not harness.retired
    harness.recycling.look(old)
    assert len(harness.forked) == 1  # not at once
    harness.now += 10
    harness.recycling.look(old)
    assert len(harness.forked) == 2


def test_an_old_one_that_dies_meanwhile_has_its_replacement_on_the_way():
    harness = RecyclingHarness(max_tasks=10)
    old = harness.executor(finished=10)
    harness.recycling.look(old)

    assert harness.recycling.died(old)
    new = harness.become_ready()

    assert not harness.retired
    assert not harness.recycling.died(new), "from now on it is one like any other"


def test_no_replacement_can_be_had():
    harness = RecyclingHarness(max_tasks=10)
    old = harness.executor(finished=10)
    harness.can_fork = False
    harness.recycling.look(old)
    assert not harness.recycling.died(old)


def test_one_that_does_not_leave_is_killed_but_not_while_it_works():
    harness = RecyclingHarness(max_tasks=10)
    old = harness.executor(finished=10)
    old.outstanding.add(1)
    harness.recycling.look(old)
    harness.become_ready()
    for _ in range(100):
        harness.watch()
    assert not old.killed

    old.outstanding.clear()
    for _ in range(32):
        harness.watch()

    assert old.killed


def test_without_limits_nobody_is_replaced():
    harness = RecyclingHarness()
    old = harness.executor(finished=10**9, memory=10**12)
    harness.recycling.look(old)
    harness.watch(old)
    assert not harness.forked


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
def test_the_memory_of_a_process_is_read():
    with subprocess.Popen(["sleep", "60"]) as child:
        small = resident(child.pid)
        child.kill()
    own = resident(os.getpid())
    assert small is not None
    assert own is not None
    assert 0 < small < own
    assert resident(1 << 30) is None
