"""One queue that confirms nothing holds back its channel, and nobody else's publications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.limits import Limits
from rmqwork._publisher.publisher import Publisher
from rmqwork._topology.topology import Queue, app_declarations
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.decide import PublishThenAck, decide
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.errors import PublishTimeout
from rmqwork.types import Evidence, Failure, Publication, Reason, Verdict
from tests.unit.fakes import FakeConnector, FakeConsumeChannel, QuickClock, delivery, publication
from tests.waiting import auntil

FAILURE = Failure(0.1, Reason.FAILED, Evidence("ValueError", "it broke"))
DEAD = "without-majority"
STALL = 1.0


class HeldBack(FakeConnector):
    """A broker that confirms in order, and nothing after one for the dead queue (as RabbitMQ)."""

    def __init__(self) -> None:
        super().__init__(None)
        self.dead = True

    def work(self) -> None:
        """Confirm what can be."""
        for link in self.links:
            for channel in link.channels:
                while channel.open and not (self.dead and channel.open[0][0].routing_key == DEAD):
                    channel.settle(Verdict.CONFIRMED)

    def sent(self) -> list[list[Publication]]:
        """What each channel that is open has got."""
        return [one.sent for link in self.links for one in link.channels if one.is_open]


@pytest.fixture
async def broker() -> AsyncIterator[HeldBack]:
    broker = HeldBack()

    async def works() -> None:
        while True:
            broker.work()
            await asyncio.sleep(0.005)

    working = asyncio.create_task(works())
    yield broker
    working.cancel()


@pytest.fixture
async def publisher(broker: HeldBack) -> AsyncIterator[Publisher]:
    plan = app_declarations([Queue("q")])
    limits = Limits(stall=STALL, detour_window=50)
    publisher = Publisher(broker, plan, "test", clock=QuickClock(), limits=limits)
    yield publisher
    await publisher.close(0)


def submit(publisher: Publisher, *publications: Publication, timeout: float = 30) -> Batch:
    batch = Batch(publications, timeout)
    publisher.submit(batch)
    return batch


async def errors(batch: Batch) -> list[object]:
    return [*await asyncio.wait_for(asyncio.wrap_future(batch.future), 20)]


def dead(count: int) -> list[Publication]:
    return [publication(routing_key=DEAD) for _ in range(count)]


async def test_a_thousand_for_a_dead_queue_hold_nobody_back(publisher: Publisher, broker: HeldBack):
    """Healthy ones go on within seconds, the dead ones are confirmed when their queue is back."""
    stuck = submit(publisher, *dead(1000))
    healthy = submit(publisher, *(publication() for _ in range(1000)))

    assert await errors(healthy) == [None] * 1000
    assert not stuck.future.done()
    assert await errors(submit(publisher, publication())) == [None]

    broker.dead = False
    assert await errors(stuck) == [None] * 1000
    assert publisher.backlog == 0


async def test_what_shared_the_channel_is_confirmed_too(publisher: Publisher):
    """One call with both kinds: nobody has lost a healthy one to the dead one before it."""
    batch = submit(publisher, *dead(1), publication(), *dead(1), publication(), timeout=6)

    results = await errors(batch)

    assert [results[1], results[3]] == [None, None]
    for error in (results[0], results[2]):
        assert isinstance(error, PublishTimeout)
        assert error.may_have_arrived
        assert DEAD in str(error)


async def test_no_more_than_the_small_window_is_sent_to_a_dead_queue(
    publisher: Publisher, broker: HeldBack
):
    submit(publisher, *dead(300))
    await auntil(lambda: [len(sent) for sent in broker.sent() if sent] == [50])


async def test_the_order_of_a_route_is_kept(publisher: Publisher, broker: HeldBack):
    first = dead(120)
    calls = [submit(publisher, one) for one in first[:60]]
    await auntil(lambda: any(len(sent) == 50 for sent in broker.sent()))
    calls += [submit(publisher, one) for one in first[60:]]

    broker.dead = False
    for call in calls:
        assert await errors(call) == [None]

    [sent] = [s for link in broker.links[1:] for c in link.channels if (s := c.sent)]
    assert [one.message_id for one in sent] == [one.message_id for one in first]


async def test_a_route_that_confirms_again_goes_over_the_common_connection(
    publisher: Publisher, broker: HeldBack
):
    stuck = submit(publisher, *dead(3))
    await errors(submit(publisher, publication()))
    broker.dead = False
    await errors(stuck)
    await auntil(lambda: sum(link.is_open for link in broker.links) == 1)

    again = dead(1)
    assert await errors(submit(publisher, *again)) == [None]
    assert again[0] in broker.sent()[0]
    assert sum(link.is_open for link in broker.links) == 1


async def test_the_end_of_a_publisher_counts_what_its_detours_have(
    publisher: Publisher, broker: HeldBack
):
    submit(publisher, *dead(3))
    await errors(submit(publisher, publication()))

    assert await publisher.close(0.05) == 3
    assert not any(link.is_open for link in broker.links)


async def test_a_workers_settlements_go_on(publisher: Publisher, broker: HeldBack):
    """A thousand next steps for the dead queue, and dead letters for another one."""
    done: list[HeldDelivery] = []

    async def repair() -> None: ...

    settlement = Settlement(publisher, RedeliveryMemory(), done.append, repair)
    channel = FakeConsumeChannel()
    helds = [HeldDelivery(n, delivery(channel, n), "q", f"id-{n}", 1) for n in range(1, 1201)]
    steps, failed = helds[:1000], helds[1000:]
    for held, step in zip(steps, dead(1000), strict=True):
        settlement.settle(held, PublishThenAck(step))
    for held in failed:
        settlement.settle(held, decide(held, FAILURE, "host"))

    await auntil(lambda: len(done) == 200, lambda: len(done))
    assert channel.log == [("ack", held.number) for held in failed]
    assert [*settlement.open] == steps

    broker.dead = False
    await auntil(lambda: len(done) == 1200, lambda: len(done))
    assert len(channel.log) == 1200
    await settlement.close(1)
