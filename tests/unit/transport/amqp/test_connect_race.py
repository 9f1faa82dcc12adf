"""Several addresses of a broker: the first that answers, and nobody left behind."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from rmqwork._transport.amqp.connect_race import first_of


class Place:
    """An address that answers after some time, with a link or a reason."""

    def __init__(self, seconds: float, answer: str = "") -> None:
        self.seconds, self.answer = seconds, answer
        self.began = self.cancelled = self.closed = False

    async def close(self) -> None:
        self.closed = True

    async def __call__(self) -> Place | str:
        self.began = True
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return self.answer or self


async def test_a_dead_address_costs_a_moment() -> None:
    dead, well, spare = Place(60), Place(0.01), Place(0.01)
    began = monotonic()

    link, reasons = await first_of([dead, well, spare], 0.05)

    assert link is well
    assert reasons == []
    assert monotonic() - began < 5
    assert dead.cancelled
    assert not spare.began
    assert not well.closed


async def test_the_next_is_tried_at_once_where_one_refuses() -> None:
    refuses, well = Place(0, "refused"), Place(0)

    link, reasons = await first_of([refuses, well], 60)

    assert (link, reasons) == (well, ["refused"])


async def test_none_answers() -> None:
    link, reasons = await first_of([Place(0.02, "late"), Place(0, "refused")], 0.001)

    assert link is None
    assert sorted(reasons) == ["late", "refused"]


async def test_of_two_that_answer_at_once_one_is_closed() -> None:
    gate = asyncio.Event()

    class Gated(Place):
        async def __call__(self) -> Place | str:
            self.began = True
            await gate.wait()
            return self

    places = [Gated(0), Gated(0)]
    race = asyncio.create_task(first_of(places, 0.001))
    while not all(place.began for place in places):
        await asyncio.sleep(0)
    gate.set()

    link, _ = await race

    assert link in places
    assert [place.closed for place in places if place is not link] == [True]


async def test_a_race_that_is_given_up_gives_up_all() -> None:
    places = [Place(60), Place(60)]
    race = asyncio.create_task(first_of(places, 0.001))
    while not all(place.began for place in places):
        await asyncio.sleep(0)

    race.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race

    assert all(place.cancelled for place in places)
