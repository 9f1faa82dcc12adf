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


class Room:
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
    room = Room(max_tasks=10)
    old = room.executor(finished=9)
    room.recycling.look(old)
    assert not room.forked

    old.finished = 10
    room.recycling.look(old)
    assert len(room.forked) == 1
    assert not room.retired
    room.become_ready()

    assert room.retired == [old]
    assert room.recycling.died(old), "it has been replaced"


def test_one_at_a_time():
    room = Room(max_tasks=10)
    one, two = room.executor(finished=10), room.executor(finished=10)
    for executor in (one, two, one, two):
        room.recycling.look(executor)
    assert len(room.forked) == 1

    room.become_ready()
    for executor in (one, two, one, two):
        room.recycling.look(executor)
    room.become_ready()

    assert room.retired == [one, two]
    assert len(room.forked) == 2


def test_one_that_has_grown_too_large_leaves_but_not_before_its_first_task():
    room = Room(max_memory=100)
    old = room.executor(memory=101)
    room.watch(old)
    assert not room.forked

    old.finished = 1
    room.memory[old.pid] = 100
    room.watch(old)
    assert not room.forked
    room.memory[old.pid] = 101
    room.watch(old)
    room.become_ready()

    assert room.retired == [old]


def test_a_limit_below_what_the_app_takes_is_told_once(caplog: pytest.LogCaptureFixture):
    room = Room(max_memory=100)
    old = room.executor(memory=101)
    for _ in range(3):
        room.watch(old)

    assert [r.message for r in caplog.records if "max_memory is" in r.message] != []
    assert len(caplog.records) == 1


def test_a_replacement_that_dies_leaves_the_old_one_where_it_is():
    room = Room(max_tasks=10)
    old = room.executor(finished=10)
    room.recycling.look(old)

    assert room.recycling.died(room.forked[0]), "the old one is still there"

    assert not room.retired
    room.recycling.look(old)
    assert len(room.forked) == 1  # not at once
    room.now += 10
    room.recycling.look(old)
    assert len(room.forked) == 2


def test_an_old_one_that_dies_meanwhile_has_its_replacement_on_the_way():
    room = Room(max_tasks=10)
    old = room.executor(finished=10)
    room.recycling.look(old)

    assert room.recycling.died(old)
    new = room.become_ready()

    assert not room.retired
    assert not room.recycling.died(new), "from now on it is one like any other"


def test_no_replacement_can_be_had():
    room = Room(max_tasks=10)
    old = room.executor(finished=10)
    room.can_fork = False
    room.recycling.look(old)
    assert not room.recycling.died(old)


def test_one_that_does_not_leave_is_killed_but_not_while_it_works():
    room = Room(max_tasks=10)
    old = room.executor(finished=10)
    old.outstanding.add(1)
    room.recycling.look(old)
    room.become_ready()
    for _ in range(100):
        room.watch()
    assert not old.killed

    old.outstanding.clear()
    for _ in range(32):
        room.watch()

    assert old.killed


def test_without_limits_nobody_is_replaced():
    room = Room()
    old = room.executor(finished=10**9, memory=10**12)
    room.recycling.look(old)
    room.watch(old)
    assert not room.forked


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
