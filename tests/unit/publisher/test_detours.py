"""Routes that confirm nothing are kept apart until they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rmqwork._publisher.batch import Batch, Entry
from rmqwork._publisher.detours import Detours, route_of
from rmqwork.errors import PublishTimeout
from tests.unit.fakes import publication, turns


class FakePublisher:
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.closed = self.released = False

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)

    async def close(self, timeout: float) -> int:
        await asyncio.sleep(0)
        self.closed = True
        return 0

    def release(self) -> None:
        self.released = True


class Given:
    def __init__(self) -> None:
        self.now = 0.0
        self.made: list[FakePublisher] = []
        self.answers: list[tuple[Entry, BaseException | None]] = []
        self.detours = Detours(
            self.make,
            lambda entry, error: self.answers.append((entry, error)),
            limit=3,
            idle_limit=300,
            now=lambda: self.now,
        )

    def make(self) -> FakePublisher:
        self.made.append(FakePublisher())
        return self.made[-1]


@pytest.fixture
async def given() -> AsyncIterator[Given]:
    given = Given()
    yield given
    await given.detours.close()


def entry(key: str, timeout: float = 30) -> Entry:
    return Batch([publication(routing_key=key)], timeout).entries[0]


async def test_only_a_stalled_route_makes_a_detour(given: Given):
    given.detours.blame([entry("dead")])
    stuck = entry("dead")

    assert given.detours.take(stuck)
    assert not given.detours.take(entry("healthy"))
    (batch,) = given.made[0].batches
    assert batch.entries[0].publication is stuck.publication
    assert batch.deadline == stuck.batch.deadline


async def test_a_route_goes_back_when_all_of_it_is_confirmed(given: Given):
    given.detours.blame([entry("dead")])
    for _ in range(2):
        given.detours.take(entry("dead"))
    first, second = given.made[0].batches

    first.future.set_result([None])
    assert given.detours.routes
    second.future.set_result([None])

    assert not given.detours.routes
    assert [error for _, error in given.answers] == [None, None]
    await turns()
    assert given.made[0].closed


async def test_a_route_whose_publications_were_too_late_stays_apart(given: Given):
    given.detours.blame([entry("dead")])
    given.detours.take(entry("dead"))

    given.made[0].batches[0].future.set_result([PublishTimeout("late")])

    assert given.detours.routes
    given.now = 299
    given.detours.look()
    assert given.detours.routes
    given.now = 301
    given.detours.look()
    assert not given.detours.routes, "nobody has published to it for long"


async def test_further_routes_share_the_last_publisher(given: Given):
    given.detours.blame(entry(f"dead-{number}") for number in range(4))
    given.now = 5
    given.detours.blame(entry(f"dead-{number}") for number in range(9))

    assert len(given.made) == 3
    assert len(given.detours.routes) == 9


async def test_the_first_blame_is_for_few_and_the_next_ones_for_more(given: Given):
    many = [entry(f"dead-{number}") for number in range(100)]

    assert given.detours.blame(many) == [route_of(one) for one in many[:4]]
    given.now = 5
    assert len(given.detours.blame(many)) == 16
    given.now = 1000
    assert len(given.detours.blame(many)) == 4


async def test_it_knows_what_has_left(given: Given):
    given.detours.blame([entry("dead")])
    stuck = entry("dead")
    given.detours.take(stuck)
    assert given.detours.holds(stuck)
    assert not given.detours.sent(stuck)

    given.made[0].batches[0].entries[0].sent = True

    assert given.detours.sent(stuck)


async def test_a_forked_child_lets_go_of_all(given: Given):
    given.detours.blame([entry("a"), entry("b")])

    given.detours.release()

    assert [one.released for one in given.made] == [True, True]
