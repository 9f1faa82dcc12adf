"""How much is taken from a queue, by what was settled of it; and who is told of what is settled."""

from __future__ import annotations

from typing import Any, cast

from rmqwork._worker.consume.flow_control import FlowControl
from rmqwork._worker.model.held import HeldDelivery
from tests.unit.fakes import delivery
from tests.unit.worker.harness import worker_plan


class Surroundings:
    """Consumers, switches, suspects and partitions, as far as flow control is concerned."""

    def __init__(self) -> None:
        self.plan = worker_plan(prefetch=None, concurrency=4, async_concurrency=50)
        self.prefetches = {"high": 6, "low": 6, "guarded": 6, "orders": 1}
        self.restricted: set[str] = set()
        self.told: list[tuple[str, HeldDelivery]] = []
        self.isolated = 0
        self.overdue: dict[str, int] = {}
        room = cast(Any, self)
        self.flow = FlowControl(
            lambda: self.plan,
            room,
            room,
            cast(Any, Suspects(self.told)),
            lambda held: self.told.append(("partition", held)),
            lambda: self.isolated,
            lambda queue: self.overdue.get(queue, 0),
        )

    def prefetch(self, queue: str) -> int:
        return self.prefetches[queue]

    def set_prefetch(self, queue: str, prefetch: int) -> None:
        self.prefetches[queue] = prefetch

    def restricts(self, queue: str) -> bool:
        return queue in self.restricted

    def gone(self, held: HeldDelivery) -> None:
        self.told.append(("switches", held))

    def settles(self, queue: str, times: int) -> None:
        for number in range(times):
            self.flow.settled(held(number, queue))


class Suspects:
    def __init__(self, told: list[tuple[str, HeldDelivery]]) -> None:
        self._told = told

    def gone(self, held: HeldDelivery) -> None:
        self._told.append(("suspects", held))


def held(number: int, queue: str = "low", lane: str = "thread") -> HeldDelivery:
    return HeldDelivery(number, delivery(None, number), queue, f"id-{number}", 1, lane)


def test_a_queue_from_which_much_is_settled_is_given_more() -> None:
    around = Surroundings()
    around.flow.runs(held(0))
    around.settles("low", 500)
    around.flow.follow(0.5)  # 1,000 a second: a tenth of that, and the slots
    assert around.prefetches == {"high": 6, "low": 104, "guarded": 6, "orders": 1}


def test_it_fades_when_nothing_is_settled_any_more() -> None:
    around = Surroundings()
    around.flow.runs(held(0))
    around.settles("low", 500)
    for _ in range(60):
        around.flow.follow(0.5)
    assert around.prefetches["low"] < 20


def test_what_has_run_and_waits_for_confirms_takes_no_room_from_what_can_run() -> None:
    around = Surroundings()
    around.flow.runs(held(0))
    for _ in range(8):  # whatever comes waits for a queue that confirms nothing
        around.overdue["low"] = around.prefetches["low"]
        around.flow.follow(0.2)
        assert around.prefetches["low"] >= around.overdue["low"] + 6
    around.overdue["low"] = 1_999
    around.flow.follow(0.2)
    assert around.prefetches["low"] == 2_000
    around.overdue.clear()
    around.flow.follow(0.2)
    assert around.prefetches["low"] == 6


def test_slots_of_the_event_loop_count_for_a_queue_whose_tasks_run_there() -> None:
    around = Surroundings()
    around.flow.runs(held(0, "low", "async"))
    around.flow.follow(0.2)
    assert around.prefetches["low"] == 52


def test_what_runs_isolated_needs_no_slots() -> None:
    around = Surroundings()
    around.flow.runs(held(0))
    around.isolated = 10
    around.flow.follow(0.2)
    assert around.prefetches["low"] == 16


def test_a_restricted_queue_keeps_its_prefetch_and_partitions_keep_theirs() -> None:
    around = Surroundings()
    around.restricted.add("guarded")
    for queue in ("guarded", "orders"):
        around.settles(queue, 500)
    around.flow.follow(0.5)
    assert around.prefetches == {"high": 6, "low": 6, "guarded": 6, "orders": 1}


def test_suspects_are_told_of_theirs_that_is_settled_and_partitions_of_theirs() -> None:
    around = Surroundings()
    plain, step = held(1), held(2, "orders")
    suspect = HeldDelivery(3, delivery(None, 3, queue="low.suspects"), "low", "id-3", 1)
    step.partition = "orders.0"
    for one in (plain, step, suspect):
        around.flow.settled(one)
    assert around.told == [
        ("switches", plain),
        ("switches", step),
        ("partition", step),
        ("switches", suspect),
        ("suspects", suspect),
    ]
