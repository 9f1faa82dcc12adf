"""Queues that operators pause and resume."""

from __future__ import annotations

from typing import Any

import pytest

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._worker.control.pausing import Pausing
from tests.unit.worker.control.harness import ControlHarness


class FakeConsumption:
    """Which queues are not consumed, and why."""

    def __init__(self) -> None:
        self.why: dict[str, set[str]] = {}
        self.calls: list[tuple[str, str]] = []

    def reasons(self, queue: str) -> set[str]:
        return self.why.setdefault(queue, set())

    def pause(self, queue: str, why: str) -> None:
        self.calls.append(("pause", queue))
        self.reasons(queue).add(why)

    def resume(self, queue: str, why: str) -> None:
        self.calls.append(("resume", queue))
        self.reasons(queue).discard(why)


@pytest.fixture
async def harness() -> ControlHarness:
    return ControlHarness()


@pytest.fixture
def consumption() -> FakeConsumption:
    return FakeConsumption()


@pytest.fixture
def pausing(harness: ControlHarness, consumption: Any) -> Pausing:
    return Pausing(["high", "low"], consumption, harness.dispatcher, harness.waiting)


def state(**queues: str) -> ControlState:
    made = ControlState()
    for queue, verb in queues.items():
        made.take(Command(verb, {"queue": queue}, by="op@host"))
    return made


async def test_only_what_changes_is_told_to_the_consumers(
    pausing: Pausing, consumption: FakeConsumption
) -> None:
    for _ in range(2):
        pausing.adopt(state(high="pause", elsewhere="pause"))
    assert consumption.calls == [("pause", "high")]
    assert pausing.detail() == {"high": ["operator"]}

    for _ in range(2):
        pausing.adopt(state(high="resume"))
    assert consumption.calls == [("pause", "high"), ("resume", "high")]
    assert pausing.detail() == {}


async def test_a_kill_switchs_pause_is_not_taken_back(
    pausing: Pausing, consumption: FakeConsumption
) -> None:
    consumption.reasons("low").add("kill switch")

    pausing.adopt(state(low="resume"))
    assert consumption.calls == []
    pausing.adopt(state(low="pause"))
    assert pausing.detail() == {"low": ["kill switch", "operator"]}


async def test_only_those_who_have_the_queue_answer(pausing: Pausing) -> None:
    pausing.adopt(state(high="pause"))

    assert pausing.tell(Command("pause", {"queue": "elsewhere"})) is None
    assert pausing.tell(Command("pause", {"queue": "high"})) == {"queue": "high", "paused": True}
    assert pausing.tell(Command("resume", {"queue": "low"})) == {"queue": "low", "paused": False}


async def test_what_has_not_started_goes_back_to_a_queue_that_is_released(
    pausing: Pausing, harness: ControlHarness
) -> None:
    mine, other = harness.wait("a", "high"), harness.wait("b", "low")
    sent = await harness.send("shop.thread", "thread", "c", "high", started=False)
    await harness.send("shop.thread", "thread", "d", "low", started=False)

    pausing.release("high")

    assert harness.waiting.handed_back == [mine]
    assert harness.waiting.there == [other]
    assert harness.executor.given_back == [sent.number]
