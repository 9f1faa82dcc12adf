"""Connecting again: how long is waited, what counts as stable, what ends it."""

from __future__ import annotations

import asyncio

import pytest

from rmqwork._transport.reconnecting import STABLE, Reconnecting, backoff
from tests.unit.fakes import turns


class FakeClock:
    """A clock that the test moves; sleeping takes no time, and is noted."""

    def __init__(self) -> None:
        self.time = 100.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def attempts(reconnecting: Reconnecting, *seconds: float) -> list[int]:
    """Make attempts that take so long; returns what was said of each."""
    found = []
    clock = reconnecting._clock
    durations = iter(seconds)
    async for failed in reconnecting:
        found.append(failed)
        clock.time += next(durations)  # type: ignore[attr-defined]
        if len(found) == len(seconds):
            return found
    return found


async def test_waits_grow_to_five_seconds_while_attempts_fail(clock: FakeClock):
    found = await attempts(Reconnecting(clock), *[0.0] * 12)

    assert found == list(range(12))
    limits = [min(5.0, 0.1 * 2**number) for number in range(1, 12)]
    assert all(0.05 <= wait <= most for wait, most in zip(clock.slept, limits, strict=True))


def test_waits_are_spread():
    waits = [backoff(20) for _ in range(200)]

    assert max(waits) > 4
    assert min(waits) < 1
    assert all(0.05 <= wait <= 5 for wait in waits)


async def test_after_a_stable_connection_the_next_attempt_comes_soon(clock: FakeClock):
    found = await attempts(Reconnecting(clock), *[0.0] * 6, STABLE + 1, STABLE / 2, 0.0)

    assert found == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert clock.slept[6] <= 0.1


async def test_a_wait_of_its_own_holds_once(clock: FakeClock):
    reconnecting = Reconnecting(clock)
    number = 0
    async for _ in reconnecting:
        number += 1
        if number == 1:
            reconnecting.wait(60.0)
        if number == 3:
            break

    assert clock.slept[0] == 60.0
    assert clock.slept[1] <= 0.4


async def test_what_is_stopped_waits_no_more(clock: FakeClock):
    stop = asyncio.Event()
    async for _ in Reconnecting(clock, stopped=stop.is_set):
        stop.set()

    assert clock.slept == []
    assert await attempts(Reconnecting(clock, stopped=lambda: True), 0.0) == []


async def test_what_is_stopped_while_it_waits_tries_no_more(clock: FakeClock):
    found = await attempts(Reconnecting(clock, stopped=lambda: bool(clock.slept)), 0.0, 0.0)

    assert found == [0]


async def test_it_tries_only_when_a_connection_is_needed(clock: FakeClock):
    need = asyncio.Event()
    attempts = aiter(Reconnecting(clock, needed=need.wait))
    first = asyncio.ensure_future(anext(attempts))
    await turns()
    assert not first.done()

    need.set()

    assert await first == 0
    assert await anext(attempts) == 1


async def test_a_wait_is_cancelled_at_once():
    async def run() -> None:
        reconnecting = Reconnecting()
        async for _ in reconnecting:
            reconnecting.wait(3600)

    task = asyncio.ensure_future(run())
    await turns()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
