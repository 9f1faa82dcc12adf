"""A publication that is never confirmed keeps no place in the window, and no channel for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.limits import LIMITS, Limits
from rmqwork._publisher.publisher import Publisher
from rmqwork._topology.topology import Queue, app_declarations
from rmqwork.errors import PublishTimeout
from rmqwork.types import Publication, Verdict
from tests.unit.fakes import FakeConnector, QuickClock, publication, turns
from tests.waiting import auntil

DEAD = "without-majority"
LIMIT = 0.2


class OneDeadQueue(FakeConnector):
    """A broker that confirms all publications but those for one queue."""

    def __init__(self) -> None:
        super().__init__(None)

    def confirm(self) -> int:
        """Answer all that can be answered; returns what is left open."""
        channel = self.channel
        for _ in range(len(channel.open)):
            sent, settled = channel.open.popleft()
            if sent.routing_key == DEAD:
                channel.open.append((sent, settled))
            else:
                settled(Verdict.CONFIRMED, "")
        return len(channel.open)


@pytest.fixture
async def broker() -> OneDeadQueue:
    return OneDeadQueue()


@pytest.fixture
async def limits() -> Limits:
    """Those of the test's publisher; without stalls unless a test has its own."""
    return replace(LIMITS, unconfirmed=LIMIT, stall=30)


@pytest.fixture
async def publisher(broker: OneDeadQueue, limits: Limits) -> AsyncIterator[Publisher]:
    plan = app_declarations([Queue("q")])
    publisher = Publisher(broker, plan, "test", clock=QuickClock(), limits=limits)
    yield publisher
    for link in broker.links:
        for channel in link.channels:
            channel.may_close.set()
    await publisher.close(0)


def submit(publisher: Publisher, *publications: Publication, timeout: float) -> Batch:
    batch = Batch(publications, timeout)
    publisher.submit(batch)
    return batch


async def errors(batch: Batch) -> list[object]:
    return [*await asyncio.wait_for(asyncio.wrap_future(batch.future), 30)]


def dead(count: int) -> list[Publication]:
    return [publication(routing_key=DEAD) for _ in range(count)]


@pytest.mark.parametrize("limits", [Limits(window=5, unconfirmed=LIMIT, stall=30)])
async def test_a_deadline_gives_the_place_in_the_window_back(
    publisher: Publisher, broker: OneDeadQueue
):
    """Given a window of 5 that 5 dead ones fill, when they are too late, a sixth is sent."""
    stuck = submit(publisher, *dead(5), timeout=0.05)
    await auntil(lambda: publisher.connected and len(broker.channel.open) == 5)
    healthy = submit(publisher, publication(), timeout=30)
    await turns()
    assert len(broker.channel.sent) == 5, "the window is full"

    assert all(isinstance(error, PublishTimeout) for error in await errors(stuck))
    await auntil(lambda: len(broker.channel.sent) == 6)

    assert broker.confirm() == 5
    assert await errors(healthy) == [None]


@pytest.mark.parametrize("limits", [Limits(window=2, unconfirmed=LIMIT, stall=30)])
async def test_a_late_confirm_frees_no_second_place(publisher: Publisher, broker: OneDeadQueue):
    stuck = submit(publisher, *dead(2), timeout=0.05)
    await errors(stuck)
    await auntil(lambda: publisher.connected)
    channel = broker.channel

    while channel.open:
        channel.settle(Verdict.CONFIRMED)
    submit(publisher, publication(), publication(), publication(), timeout=30)
    await turns()

    assert len(channel.open) == 2
    assert publisher.backlog == 3


async def test_a_thousand_that_are_never_confirmed_stop_nobody(
    publisher: Publisher, broker: OneDeadQueue
):
    stuck = [submit(publisher, one, timeout=0.1) for one in dead(1000)]
    await auntil(lambda: publisher.connected and len(broker.channel.open) == 1000)
    healthy = [submit(publisher, publication(), timeout=30) for _ in range(1000)]

    for batch in stuck:
        assert isinstance((await errors(batch))[0], PublishTimeout)
    await auntil(lambda: broker.confirm() >= 0 and all(one.future.done() for one in healthy))

    assert [await errors(one) for one in healthy] == [[None]] * 1000


async def test_a_channel_that_waits_too_long_for_a_confirm_is_replaced(
    publisher: Publisher, broker: OneDeadQueue, caplog: pytest.LogCaptureFixture
):
    """Its dead ones have had their answer and are not sent again; what has time left is."""
    stuck = submit(publisher, *dead(3), timeout=0.05)
    patient = submit(publisher, publication(routing_key=DEAD), timeout=30)
    await auntil(lambda: publisher.connected and len(broker.channel.open) == 4)
    first = broker.channel
    await errors(stuck)

    await auntil(lambda: broker.channel is not first and len(broker.channel.sent) == 1)

    assert not first.is_open
    assert len(broker.links) == 1
    assert broker.channel.sent == [patient.entries[0].publication]
    assert "left publications unconfirmed" in caplog.text


@pytest.mark.parametrize("limits", [Limits(window=1, unconfirmed=LIMIT, stall=30)])
async def test_a_channel_that_confirms_is_kept_however_long_a_call_lasts(
    publisher: Publisher, broker: OneDeadQueue
):
    """Given a call that lasts four times the limit, with a confirm for each of its publications."""
    call = submit(publisher, *(publication() for _ in range(40)), timeout=30)
    await auntil(lambda: publisher.connected)
    first = broker.channel

    while not call.future.done():
        await asyncio.sleep(LIMIT / 10)
        broker.confirm()

    assert broker.channel is first


async def test_a_broker_that_blocks_publishers_is_waited_for(
    publisher: Publisher, broker: OneDeadQueue
):
    submit(publisher, *dead(1), timeout=30)
    await auntil(lambda: publisher.connected and len(broker.channel.open) == 1)
    first = broker.channel
    broker.link.block(True)

    await asyncio.sleep(LIMIT * 2)
    assert broker.channel is first

    broker.link.block(False)
    await auntil(lambda: broker.channel is not first)


@pytest.mark.parametrize("limits", [Limits(close_timeout=0.05, unconfirmed=LIMIT, stall=30)])
async def test_a_connection_whose_channel_does_not_close_is_ended(
    publisher: Publisher, broker: OneDeadQueue
):
    """A queue without a majority may hold back the whole connection, the close of a channel too."""
    submit(publisher, *dead(1), timeout=30)
    await auntil(lambda: publisher.connected and len(broker.channel.open) == 1)
    broker.channel.may_close.clear()

    await auntil(lambda: len(broker.links) == 2 and publisher.connected)

    assert not broker.links[0].is_open
    await auntil(lambda: len(broker.channel.sent) == 1)
