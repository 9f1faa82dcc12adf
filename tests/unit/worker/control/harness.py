"""What operators' commands act on, with executors that note what they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.revocations import Revocations
from rmqwork.types import Evidence, Failure, Reason
from tests.unit.fakes import delivery, turns


class FakeExecutor:
    """An executor that starts what it is told to start."""

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.given_back: list[int] = []
        self.cancelled: list[tuple[int, str]] = []

    def started(self) -> set[int]:
        return self.running

    def give_back(self, numbers: Sequence[int]) -> None:
        self.given_back += numbers

    def cancel(self, number: int, why: str) -> None:
        self.cancelled.append((number, why))


class FakePool:
    """An executor pool that notes whom it was to kill, and because of what."""

    def __init__(self) -> None:
        self.killed: list[tuple[FakeExecutor, int, Failure]] = []

    def kill_because_of(self, executor: FakeExecutor, number: int, outcome: Failure) -> None:
        self.killed.append((executor, number, outcome))


class WaitingFixture:
    """Deliveries that no executor has."""

    def __init__(self) -> None:
        self.there: list[HeldDelivery] = []
        self.refused: list[tuple[HeldDelivery, Reason, Evidence]] = []
        self.handed_back: list[HeldDelivery] = []

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        taken = [held for held in self.there if unwanted(held)]
        self.there = [held for held in self.there if held not in taken]
        return taken

    def refuse(self, held: HeldDelivery, reason: Reason, evidence: Evidence) -> None:
        self.refused.append((held, reason, evidence))

    def hand_back(self, held: HeldDelivery) -> None:
        self.handed_back.append(held)


class ControlHarness:
    """A real dispatcher with one fake executor, a fake pool, and what waits."""

    def __init__(self) -> None:
        self.executor = FakeExecutor()
        self.pool = FakePool()
        self.waiting = WaitingFixture()
        self.revocations = Revocations()
        self.dispatcher: Dispatcher[Any] = Dispatcher(
            Ready([("high", None), ("low", None)]), {"thread": 5, "async": 5}, lambda *_: None
        )
        self.dispatcher.add(self.executor)
        self._numbers = count(1)

    def held(self, task: str, lane: str, task_id: str, queue: str = "low") -> HeldDelivery:
        number = next(self._numbers)
        return HeldDelivery(
            number, delivery(None, number, type=task), queue, task_id, 1, lane
        )  # fmt: skip

    def wait(self, task_id: str, queue: str = "low") -> HeldDelivery:
        """One that no executor has."""
        held = self.held("shop.thread", "thread", task_id, queue)
        self.waiting.there.append(held)
        return held

    async def send(
        self, task: str, lane: str, task_id: str, queue: str = "low", *, started: bool = True
    ) -> HeldDelivery:
        """One that the executor has, and has started or not."""
        held = self.held(task, lane, task_id, queue)
        self.dispatcher.put(held)
        await turns()
        if started:
            self.executor.running.add(held.number)
        return held
