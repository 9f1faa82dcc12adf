"""What a worker tells of itself, and where its tasks stand."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, cast

import pytest

from rmqwork import __version__
from rmqwork._control.wire import Command, CommandRefused
from rmqwork._worker.control.inspection import MAX_TASKS, Inspection, Parts, Stacks
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._workflows.join import Gathering
from tests.unit.worker.control.harness import ControlHarness, FakeExecutor
from tests.unit.worker.specs import shop_spec


class TimedExecutor(FakeExecutor):
    """An executor that knows since when its tasks run, and may say where they stand."""

    pid = os.getpid()

    def __init__(self) -> None:
        super().__init__()
        self.ages: dict[int, float] = {}
        self.asked: list[tuple[int, int]] = []

    def started(self) -> Any:
        now = time.monotonic()
        return {number: now - self.ages.get(number, 0.0) for number in self.running}

    def stack(self, request: int, number: int) -> None:
        self.asked.append((request, number))


class Rooms:
    """The other parts of a worker: consumers, publisher, settlement, kill switches, joins."""

    consuming = connected = True
    dropped_replies = 3
    problem: Exception | None = None

    def __init__(self) -> None:
        self.may_start = asyncio.Event()
        self.paused: dict[str, frozenset[str]] = {"low": frozenset({"operator", "kill switch"})}
        self.gathered = [Gathering("j1", "w1", 1, 3, 5.0), Gathering("j2", None, 1, None, 6.0)]

    def prefetch(self, queue: str) -> int:
        return {"high": 11, "low": 22}[queue]

    def reasons(self, queue: str) -> frozenset[str]:
        return self.paused.get(queue, frozenset())

    def detail(self) -> dict[str, object]:
        return {"low": {"state": "waiting", "again_in_s": 3.0}}

    open = 2

    def summary(self) -> list[Any]:
        return self.gathered


class Pool:
    """Two executors, of which one has not started yet."""

    def summary(self) -> list[dict[str, object]]:
        return [
            {"pid": os.getpid(), "state": "ready", "isolated": False, "running": 1},
            {"pid": None, "state": "starting", "isolated": False, "running": 0},
        ]


class Settling:
    open = frozenset({1, 2, 3})
    dropped_replies = 4


class InspectionHarness(ControlHarness):
    """A worker with one executor, of which two tasks run and some wait."""

    executor: TimedExecutor  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.dispatcher.remove(self.executor)
        self.executor = TimedExecutor()
        self.dispatcher.add(self.executor)
        self.rooms = Rooms()
        self.ready = Ready([("high", None), ("low", None)])
        rooms = cast(Any, self.rooms)
        self.stopping = False
        self.inspection = Inspection(
            Parts(
                plan=shop_spec,
                stopping=lambda: self.stopping,
                in_place=lambda: 9,
                ready=self.ready,
                dispatcher=self.dispatcher,
                staff=cast(Any, Pool()),
                consumption=rooms,
                publisher=rooms,
                settlement=cast(Any, Settling()),
                switches=rooms,
                joins=rooms,
            )
        )

    async def runs(self, task_id: str, age: float, queue: str = "low") -> int:
        held = await self.send("shop.thread", "thread", task_id, queue)
        self.executor.ages[held.number] = age
        return held.number


@pytest.fixture
async def harness() -> InspectionHarness:
    return InspectionHarness()


async def test_what_runs_is_told_the_oldest_first_and_what_waits_by_queue(
    harness: InspectionHarness,
) -> None:
    await harness.runs("young", 1.0)
    await harness.runs("old", 60.0, "high")
    await harness.send("shop.thread", "thread", "ahead", started=False)
    harness.ready.add(harness.held("shop.thread", "thread", "waits"))
    harness.dispatcher.suspects.add([harness.held("shop.thread", "thread", "suspect", "high")])

    told = harness.inspection.tell(Command("inspect"))

    assert [(one["id"], one["queue"], one["executor"]) for one in told["tasks"]] == [
        ("old", "high", os.getpid()),
        ("young", "low", os.getpid()),
    ]
    assert 60 <= told["tasks"][0]["age_s"] < 120
    assert told["queues"] == [
        {
            "queue": "high",
            "prefetch": 11,
            "paused": [],
            "kill_switch": None,
            "prefetched": 1,
        },
        {
            "queue": "low",
            "prefetch": 22,
            "paused": ["kill switch", "operator"],
            "kill_switch": {"state": "waiting", "again_in_s": 3.0},
            "prefetched": 2,
        },
    ]
    assert (told["settling"], told["more_tasks"], told["stopping"]) == (3, 0, False)
    assert told["version"] == __version__
    assert told["memory"] > 1_000_000
    assert [(one["pid"], one["memory"] > 1_000_000) for one in told["executors"]] == [
        (os.getpid(), True)
    ]
    assert [one["join"] for one in told["joins"]] == ["j1", "j2"]


async def test_an_answer_is_bounded_and_says_how_much_it_leaves_out() -> None:
    harness = InspectionHarness()
    harness.dispatcher.remove(harness.executor)
    harness.dispatcher.add(harness.executor, False, {"thread": 10_000, "async": 0})
    for number in range(MAX_TASKS + 7):
        await harness.runs(f"id-{number}", float(number))

    told = harness.inspection.tell(Command("inspect"))

    assert len(told["tasks"]) == MAX_TASKS
    assert told["more_tasks"] == 7
    assert told["tasks"][0]["id"] == f"id-{MAX_TASKS + 6}"


async def test_probes_are_told_whether_it_works_and_why_not(harness: InspectionHarness) -> None:
    await harness.runs("one", 1.0)

    detail = harness.inspection.detail()
    assert (detail["worker"], detail["app"], detail["queues"]) == ("me", "shop", ["high", "low"])
    assert (detail["consuming"], detail["publishing"], detail["started"]) == (True, True, False)
    assert (detail["running"], detail["waiting_in_place"], detail["settling"]) == (1, 9, 3)
    assert (detail["joins"], detail["dropped_replies"], detail["problem"]) == (2, 4, "")

    harness.rooms.may_start.set()
    harness.rooms.problem = ConnectionError("nobody answers")
    harness.stopping = True
    detail = harness.inspection.detail()
    assert (detail["started"], detail["stopping"]) == (True, True)
    assert detail["problem"] == "nobody answers"


async def test_an_executor_says_where_its_task_stands(harness: InspectionHarness) -> None:
    number = await harness.runs("one", 1.0)
    stacks = Stacks(harness.dispatcher)
    asking = asyncio.create_task(stacks.tell(Command("stack", {"id": "one"})))  # type: ignore[arg-type]
    await asyncio.sleep(0)

    [(request, asked)] = harness.executor.asked
    stacks.answered(request + 1, "another request's")
    stacks.answered(request, "File shop.py, line 7")
    stacks.answered(request, "and again")

    assert asked == number
    assert await asyncio.wait_for(asking, 5) == {
        "id": "one",
        "task": "shop.thread",
        "executor": os.getpid(),
        "stack": "File shop.py, line 7",
    }
    stacks.answered(request, "too late")


async def test_of_a_task_that_does_not_run_here_nothing_is_said(
    harness: InspectionHarness,
) -> None:
    await harness.runs("one", 1.0)

    assert await Stacks(harness.dispatcher).tell(Command("stack", {"id": "two"})) is None
    assert harness.executor.asked == []


async def test_an_executor_that_does_not_answer_is_named(harness: InspectionHarness) -> None:
    await harness.runs("one", 1.0)
    stacks = Stacks(harness.dispatcher, timeout=0.05)

    with pytest.raises(CommandRefused, match=f"executor {os.getpid()} did not answer within 0.05"):
        await stacks.tell(Command("stack", {"id": "one"}))
