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


class Room:
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
async def room() -> Room:
    return Room()


async def test_deliveries_go_out_in_one_batch_a_turn(room: Room):
    room.dispatcher.add("one")
    helds = room.put(2)

    assert room.sent == []
    await turns(2)

    assert room.sent == [("one", "thread", helds)]
    assert {one.stage for one in helds} == {Stage.SENT}
    assert len(room.ready) == 0
    assert list(room.dispatcher.running) == helds


async def test_no_executor_gets_more_than_it_can_start(room: Room):
    room.dispatcher.add("one")
    helds = room.put(5)
    await turns(2)
    assert room.got("one") == helds[:2]

    room.dispatcher.take("one", helds[0].number)
    await turns(2)

    assert room.got("one") == helds[:3]
    assert len(room.ready) == 2


async def test_the_one_with_most_room_is_served_first(room: Room):
    room.dispatcher.add("busy")
    first = room.put(1)
    await turns(2)
    room.dispatcher.add("idle")

    room.put(3)
    await turns(2)

    assert (len(room.got("busy")), len(room.got("idle"))) == (2, 2)
    assert room.got("busy")[0] is first[0]


async def test_lanes_have_rooms_of_their_own(room: Room):
    room.dispatcher.add("one")
    threads, loops = room.put(3, "thread"), room.put(6, "async")
    await turns(2)

    assert ("one", "thread", threads[:2]) in room.sent
    assert ("one", "async", loops[:5]) in room.sent
    room.dispatcher.take("one", loops[0].number)
    await turns(2)
    assert room.sent[-1] == ("one", "async", [loops[5]])


async def test_a_lane_without_slots_is_not_served():
    room = Room(thread=2, async_=0)
    room.dispatcher.add("one")
    room.put(1, "async_")
    await turns(2)

    assert room.sent == []
    assert len(room.ready) == 1


async def test_short_tasks_are_sent_ahead(room: Room):
    room.dispatcher.add("one")
    helds = room.put(200)
    await turns(2)
    assert len(room.got("one")) == 2

    room.dispatcher.take("one", helds[0].number, duration=0.001)
    await turns(2)

    assert len(room.got("one")) == 1 + 2 + 20  # a hundredth of a second of two slots
    assert room.got("one") == helds[:23]


async def test_short_tasks_are_sent_in_batches(room: Room):
    room.dispatcher.add("one")
    (first,) = room.put(1)
    await turns(2)
    room.dispatcher.take("one", first.number, 0.001)  # 10 ms of work for 2 threads: 20 ahead
    helds = room.put(40)
    await turns(2)
    room.sent.clear()

    for done in helds[:10]:
        room.dispatcher.take("one", done.number, 0.001)
        await turns(2)
    assert room.sent == []

    room.dispatcher.take("one", helds[10].number, 0.001)
    await turns(2)
    assert [len(batch) for _, _, batch in room.sent] == [11]


async def test_what_an_executor_has_not_is_not_taken_from_it(room: Room):
    room.dispatcher.add("one")
    [one] = room.put(1)
    await turns(2)

    assert room.dispatcher.take("one", one.number + 1) is None
    assert room.dispatcher.take("other", one.number) is None
    assert room.dispatcher.take("one", one.number) is one
    assert room.dispatcher.take("one", one.number) is None


async def test_a_dead_executor_leaves_what_it_had_in_order(room: Room):
    room.dispatcher.add("one")
    helds = room.put(4)
    await turns(2)

    left = room.dispatcher.remove("one")

    assert left == helds[:2]
    assert room.dispatcher.remove("one") == []
    assert room.dispatcher.seat("one") is None
    room.dispatcher.put_back(left)
    assert {one.stage for one in left} == {Stage.READY}
    room.dispatcher.add("two")
    await turns(2)
    assert room.got("two") == helds[:2]


async def test_a_closed_seat_gets_nothing(room: Room):
    room.dispatcher.add("one")
    seat = room.dispatcher.seat("one")
    assert seat is not None
    seat.open = False

    room.put(1)
    await turns(2)

    assert room.sent == []


async def test_after_the_end_nothing_goes_out(room: Room):
    room.dispatcher.add("one")
    room.put(1)
    room.dispatcher.stopped = True

    await turns(2)
    room.put(1)
    await turns(2)

    assert room.sent == []


async def test_many_suspects_run_together_in_an_isolated_executor(room: Room):
    room.dispatcher.add("alone", isolated=True)
    suspects = [held("thread") for _ in range(4)] + [held("async") for _ in range(6)]
    room.dispatcher.suspect(suspects)
    await turns(2)

    assert room.got("alone") == suspects[:5]  # half of them
    assert [lane for _, lane, _ in room.sent] == ["thread", "async"]
    for one in suspects[:5]:
        assert room.got("alone") == suspects[:5]
        room.dispatcher.take("alone", one.number)
        await turns(2)
    assert room.got("alone") == suspects


async def test_suspects_run_alone_and_only_in_an_isolated_executor(room: Room):
    room.dispatcher.add("common")
    suspects = [held() for _ in range(3)]
    room.dispatcher.suspect(suspects)
    await turns(2)
    assert room.sent == []

    room.dispatcher.add("alone", isolated=True)
    room.put(1)
    await turns(2)

    assert room.got("alone") == suspects[:1]
    assert len(room.got("common")) == 1
    room.put(1)
    await turns(2)
    assert room.got("alone") == suspects[:1]  # one at a time
    room.dispatcher.take("alone", suspects[0].number)
    await turns(2)
    assert room.got("alone") == suspects[:2]


async def test_suspects_of_a_lost_channel_are_forgotten(room: Room):
    gone, stays = object(), object()
    suspects = [held(channel=gone), held(channel=stays), held(channel=gone)]
    room.dispatcher.suspect(suspects)

    room.dispatcher.forget_suspects(gone)
    room.dispatcher.add("alone", isolated=True)
    await turns(2)

    assert room.got("alone") == [suspects[1]]
