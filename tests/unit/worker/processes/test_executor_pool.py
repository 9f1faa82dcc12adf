"""Executors that die: replaced, later and later; and those of suspects, as many as it takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, cast

import pytest

from rmqwork import App
from rmqwork._config.manifest import Manifest
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.lifecycle import Lifecycle
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import worker_spec
from rmqwork._worker.processes.executor import Executor, State
from rmqwork._worker.processes.executor_pool import ExecutorPool
from rmqwork.types import Outcome
from tests.unit.fakes import delivery
from tests.waiting import auntil


class FakeExecutor:
    def __init__(self, number: int, threads: int, async_tasks: int) -> None:
        self.pid = number
        self.threads, self.async_tasks = threads, async_tasks
        self.state = State.READY
        self.finished = 0
        self.outstanding: set[int] = set()

    def exit(self) -> None:
        self.state = State.STOPPING


class FakeTemplate:
    alive = True

    def __init__(self) -> None:
        self.executors: dict[int, Any] = {}

    def fork(self, threads: int, async_tasks: int, *, isolated: bool = False) -> Executor:
        executor = FakeExecutor(len(self.executors) + 1, threads, async_tasks)
        self.executors[executor.pid] = executor
        return cast(Executor, executor)


class FakeOwner:
    def __init__(self) -> None:
        slots = {"thread": 8, "async": 0}
        self.dispatcher: Dispatcher[Any] = Dispatcher(Ready([("q", None)]), slots, _nothing, 2)
        self.finished: list[tuple[HeldDelivery, Outcome | None]] = []

    def finish(self, held: HeldDelivery, outcome: Outcome | None, crashed: bool = False) -> None:
        self.finished.append((held, outcome))

    def not_started(self, helds: Sequence[HeldDelivery]) -> None: ...

    def suspected(self, helds: Sequence[HeldDelivery]) -> None:
        self.dispatcher.suspect(helds)


def _nothing(executor: Any, lane: str, batch: Sequence[HeldDelivery]) -> None: ...


class ExecutorPoolHarness:
    """A staff of two executors, whose times are short."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        app = App("shop", broker="memory://", queues=["q"])
        app.task(lambda: None, name="shop.task")
        options = WorkerOptions("x:app", processes=2)
        plan = self.plan = worker_spec(options, Manifest.from_dict(app.manifest()))
        self.template, self.owner = FakeTemplate(), FakeOwner()
        template = cast(Any, self.template)
        self.staff = ExecutorPool(
            plan,
            template,
            lambda: template,
            self.owner.dispatcher,
            self.owner,
            self.owner,
            Lifecycle(),
            clock=clock,
        )
        self.staff.start()

    def die(self, executor: Any, *started: HeldDelivery, death: Death | None = None) -> None:
        executor.state = State.DEAD
        numbers = dict.fromkeys([held.number for held in started], 0.0)
        self.staff.died(
            executor, death or Death(executor.pid, None, 9, unfinished=numbers), started
        )

    @property
    def forked(self) -> list[Any]:
        return list(self.template.executors.values())


@pytest.fixture
async def harness() -> ExecutorPoolHarness:
    return ExecutorPoolHarness()


def held(number: int) -> HeldDelivery:
    return HeldDelivery(
        number, delivery(None, number, type="shop.task"), "q", f"id-{number}", 1, "thread"
    )


async def test_each_that_dies_is_replaced(harness: ExecutorPoolHarness):
    assert len(harness.forked) == 2

    harness.die(harness.forked[0])

    await auntil(lambda: len(harness.forked) == 3)


async def test_one_alone_is_to_blame_of_many_nobody_yet(harness: ExecutorPoolHarness):
    harness.die(harness.forked[0], held(1))
    assert [one.number for one, _ in harness.owner.finished] == [1]

    harness.die(harness.forked[1], *map(held, range(2, 5)))

    assert len(harness.owner.finished) == 1
    assert [one.number for one in harness.owner.dispatcher.suspects] == [2, 3, 4]
    assert sum(map(harness.staff.is_isolated, harness.forked)) == 2  # as many as -p says


async def test_isolated_ones_that_cannot_start_are_not_forked_at_every_look():
    now = [1000.0]
    harness = ExecutorPoolHarness(lambda: now[0])
    harness.die(harness.forked[0], held(1), held(2))
    before = len(harness.forked)

    for _ in range(50):  # ten seconds
        now[0] += 0.2
        harness.staff.watch()
        for executor in harness.forked:
            if harness.staff.is_isolated(executor):
                harness.die(
                    executor, death=Death(executor.pid, 3, error="the lifespan failed:\nno")
                )

    assert 4 <= len(harness.forked) - before <= 24


async def test_a_crash_is_told_with_its_stack(
    harness: ExecutorPoolHarness, caplog: pytest.LogCaptureFixture
):
    frames = "Traceback (most recent call last):\n  File …, in life\n    raise …"
    error = f"the lifespan failed:\n{frames}\nRuntimeError: no database\nat all"

    harness.die(harness.forked[0], death=Death(7, 3, error=error))

    [line] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert line.message == "executor 7: the lifespan failed: RuntimeError: no database"
    assert "Traceback" in str(vars(line)["rmqwork"])


async def test_it_is_scaled_up_down_and_to_other_numbers_of_tasks(harness: ExecutorPoolHarness):
    first, second = harness.forked
    first.outstanding.add(1)
    plan = replace(harness.plan, processes=3)
    harness.staff.scale(plan)
    _, _, third = harness.forked

    harness.staff.scale(replace(plan, processes=2))  # one that has nothing to do leaves
    assert [one.state for one in harness.forked].count(State.STOPPING) == 1
    assert first.state is State.READY
    (leaving,) = [one for one in harness.forked if one.state is State.STOPPING]
    harness.die(leaving, death=Death(leaving.pid, 0, expected=True))
    assert len(harness.forked) == 3  # and nobody takes its place
    (other,) = {second, third} - {leaving}

    harness.staff.scale(replace(plan, processes=2, slots={"thread": 4, "async": 0}))
    harness.staff.watch()
    harness.staff.watch()
    *_, fourth = harness.forked  # one at a time
    assert len(harness.forked) == 4
    assert (fourth.threads, fourth.async_tasks) == (4, 0)
    harness.staff.recycling.ready(fourth)
    assert {one for one in (first, other) if one.state is State.STOPPING}
    harness.staff.watch()
    assert len(harness.forked) == 5
