"""Who gets what is ready."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest

from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.model.held import HeldDelivery, Stage
from tests.unit.fakes import delivery, turns

_numbers = count(1)


def held(lane: str = "thread", channel: object | None = None, queue: str = "q") -> HeldDelivery:
    number = next(_numbers)
    return HeldDelivery(number, delivery(channel, number), queue, f"id-{number}", 1, lane)


class DispatcherHarness:
    """A dispatcher, and what it has sent: ``(executor, lane, deliveries)``."""

    def __init__(self, **slots: int) -> None:
        self.sent: list[tuple[str, str, list[HeldDelivery]]] = []
        self.ready = Ready([("q", None), ("low", None)])
        self.dispatcher: Dispatcher[str] = Dispatcher(
            self.ready, slots or {"thread": 2, "async": 5}, self._send
        )

    def _send(self, executor: str, lane: str, helds: Sequence[HeldDelivery]) -> None:
        self.sent.append((executor, lane, list(helds)))

    def put(self, number: int, lane: str = "thread") -> list[HeldDelivery]:
        helds = [held(lane) for _ in range(number)]
        for one in helds:
            self.dispatcher.put(one)
        return helds

    def got(self, executor: str) -> list[HeldDelivery]:
        return [one for name, _, helds in self.sent if name == executor for one in helds]


@pytest.fixture
async def harness() -> DispatcherHarness:
    return DispatcherHarness()


async def test_deliveries_go_out_in_one_batch_a_turn(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    helds = harness.put(2)

    assert harness.sent == []
    await turns(2)

    assert harness.sent == [("one", "thread", helds)]
    assert {one.stage for one in helds} == {Stage.SENT}
    assert len(harness.ready) == 0
    assert list(harness.dispatcher.running) == helds


async def test_no_executor_gets_more_than_it_can_start(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    helds = harness.put(5)
    await turns(2)
    assert harness.got("one") == helds[:2]

    harness.dispatcher.take("one", helds[0].number)
    await turns(2)

    assert harness.got("one") == helds[:3]
    assert len(harness.ready) == 2


async def test_the_one_with_most_room_is_served_first(harness: DispatcherHarness):
    harness.dispatcher.add("busy")
    first = harness.put(1)
    await turns(2)
    harness.dispatcher.add("idle")

    harness.put(3)
    await turns(2)

    assert (len(harness.got("busy")), len(harness.got("idle"))) == (2, 2)
    assert harness.got("busy")[0] is first[0]


async def test_lanes_have_rooms_of_their_own(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    threads, loops = harness.put(3, "thread"), harness.put(6, "async")
    await turns(2)

    assert ("one", "thread", threads[:2]) in harness.sent
    assert ("one", "async", loops[:5]) in harness.sent
    harness.dispatcher.take("one", loops[0].number)
    await turns(2)
    assert harness.sent[-1] == ("one", "async", [loops[5]])


async def test_a_lane_without_slots_is_not_served():
    harness = DispatcherHarness(thread=2, async_=0)
    harness.dispatcher.add("one")
    harness.put(1, "async_")
    await turns(2)

    assert harness.sent == []
    assert len(harness.ready) == 1


async def test_short_tasks_are_sent_ahead(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    helds = harness.put(200)
    await turns(2)
    assert len(harness.got("one")) == 2

    harness.dispatcher.take("one", helds[0].number, duration=0.001)
    await turns(2)

    assert len(harness.got("one")) == 1 + 2 + 20  # a hundredth of a second of two slots
    assert harness.got("one") == helds[:23]


async def test_short_tasks_are_sent_in_batches(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    (first,) = harness.put(1)
    await turns(2)
    harness.dispatcher.take("one", first.number, 0.001)  # 10 ms of work for 2 threads: 20 ahead
    helds = harness.put(40)
    await turns(2)
    harness.sent.clear()

    for done in helds[:10]:
        harness.dispatcher.take("one", done.number, 0.001)
        await turns(2)
    assert harness.sent == []

    harness.dispatcher.take("one", helds[10].number, 0.001)
    await turns(2)
    assert [len(batch) for _, _, batch in harness.sent] == [11]


async def test_what_an_executor_has_not_is_not_taken_from_it(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    [one] = harness.put(1)
    await turns(2)

    assert harness.dispatcher.take("one", one.number + 1) is None
    assert harness.dispatcher.take("other", one.number) is None
    assert harness.dispatcher.take("one", one.number) is one
    assert harness.dispatcher.take("one", one.number) is None


async def test_a_dead_executor_leaves_what_it_had_in_order(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    helds = harness.put(4)
    await turns(2)

    left = harness.dispatcher.remove("one")

    assert left == helds[:2]
    assert harness.dispatcher.remove("one") == []
    assert harness.dispatcher.seat("one") is None
    harness.dispatcher.put_back(left)
    assert {one.stage for one in left} == {Stage.READY}
    harness.dispatcher.add("two")
    await turns(2)
    assert harness.got("two") == helds[:2]


async def test_a_closed_seat_gets_nothing(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    seat = harness.dispatcher.seat("one")
    assert seat is not None
    seat.open = False

    harness.put(1)
    await turns(2)

    assert harness.sent == []


async def test_after_the_end_nothing_goes_out(harness: DispatcherHarness):
    harness.dispatcher.add("one")
    harness.put(1)
    harness.dispatcher.stop()

    await turns(2)
    harness.put(1)
    await turns(2)

    assert harness.sent == []


async def test_many_suspects_run_together_in_an_isolated_executor(harness: DispatcherHarness):
    harness.dispatcher.add("alone", isolated=True)
    suspects = [held("thread") for _ in range(4)] + [held("async") for _ in range(6)]
    harness.dispatcher.suspect(suspects)
    await turns(2)

    assert harness.got("alone") == suspects[:5]  # half of them
    assert [lane for _, lane, _ in harness.sent] == ["thread", "async"]
    for one in suspects[:5]:
        assert harness.got("alone") == suspects[:5]
        harness.dispatcher.take("alone", one.number)
        await turns(2)
    assert harness.got("alone") == suspects


async def test_suspects_run_alone_and_only_in_an_isolated_executor(harness: DispatcherHarness):
    harness.dispatcher.add("common")
    suspects = [held() for _ in range(3)]
    harness.dispatcher.suspect(suspects)
    await turns(2)
    assert harness.sent == []

    harness.dispatcher.add("alone", isolated=True)
    harness.put(1)
    await turns(2)

    assert harness.got("alone") == suspects[:1]
    assert len(harness.got("common")) == 1
    harness.put(1)
    await turns(2)
    assert harness.got("alone") == suspects[:1]  # one at a time
    harness.dispatcher.take("alone", suspects[0].number)
    await turns(2)
    assert harness.got("alone") == suspects[:2]


async def test_suspects_of_a_lost_channel_are_forgotten(harness: DispatcherHarness):
    gone, stays = object(), object()
    suspects = [held(channel=gone), held(channel=stays), held(channel=gone)]
    harness.dispatcher.suspect(suspects)

    harness.dispatcher.forget(gone)
    harness.dispatcher.add("alone", isolated=True)
    await turns(2)

    assert harness.got("alone") == [suspects[1]]
