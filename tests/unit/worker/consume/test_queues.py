"""A queue, or a partition of one, on a channel of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rmqwork._transport.port import ChannelClosed
from rmqwork._worker.consume.queues import QueueConsumer, plain_queue, worker_queues
from rmqwork._worker.model.consumed import Consumed
from rmqwork.types import Delivery
from tests.unit.fakes import FakeConnector, FakeConsumeChannel, FakeLink, delivery, turns
from tests.waiting import auntil


class Handler:
    """Notes what it is told, in order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, object]] = []
        self.held: set[str] = set()

    def delivered(self, queue: str, delivery: Delivery) -> None:
        self.log.append((queue, delivery.tag))

    def channel_lost(self, channel: object) -> None:
        self.log.append(("lost", channel))

    def paused(self, queue: str) -> None:
        self.log.append(("paused", queue))

    def holds(self, partition: str) -> bool:
        return partition in self.held

    def suspects_stopped(self, queue: str) -> None:
        self.log.append(("suspects stopped", queue))


class Queues:
    """A connection on which queues are served."""

    def __init__(self) -> None:
        self.handler = Handler()
        self.link = FakeLink(FakeConnector())
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self, spec: Consumed) -> QueueConsumer:
        [consumer] = worker_queues([spec], self.handler, hand_over_wait=0.01)
        self._tasks.append(asyncio.create_task(consumer.serve(self.link)))  # type: ignore[arg-type]
        await auntil(lambda: consumer.active, "its consumers")
        return consumer

    @property
    def channel(self) -> FakeConsumeChannel:
        return self.link.consuming[-1]

    @property
    def serving(self) -> asyncio.Task[None]:
        return self._tasks[-1]

    def sources(self) -> list[str]:
        return sorted(consumer[0] for consumer in self.channel.consumers.values())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def queues() -> AsyncIterator[Queues]:
    queues = Queues()
    yield queues
    await queues.close()


QUEUE = Consumed("q", ("q", "q.due", "q.suspects"), 5)
PARTITION = Consumed("q", ("q.0",), 1, None, "q.0")


async def test_a_queue_has_its_sources_and_its_suspects_on_one_channel(queues: Queues) -> None:
    consumer = await queues.serve(QUEUE)
    await auntil(lambda: len(queues.channel.consumers) == 3, "all consumers")

    assert queues.sources() == ["q", "q.due", "q.suspects"]
    assert len(queues.link.consuming) == 1
    assert consumer.consuming
    next(iter(queues.channel.consumers.values()))[2](delivery(queues.channel, 7))
    assert queues.handler.log == [("q", 7)]


async def test_a_pause_lasts_until_its_last_reason_is_taken_back(queues: Queues) -> None:
    consumer = await queues.serve(QUEUE)
    consumer.pause("operator")
    consumer.pause("kill switch")
    await auntil(lambda: queues.handler.log == [("paused", "q")], "the pause")

    assert queues.sources() == []
    assert consumer.reasons == {"operator", "kill switch"}
    assert consumer.consuming, "a paused queue is no fault"
    consumer.resume("operator")
    await turns()
    assert queues.sources() == []

    consumer.resume("kill switch")
    await auntil(lambda: queues.sources() == ["q", "q.due", "q.suspects"], "its consumers again")


async def test_stopping_a_queue_cancels_its_consumers_and_nothing_else(queues: Queues) -> None:
    consumer = await queues.serve(QUEUE)

    consumer.stop()
    await asyncio.wait_for(queues.serving, 5)

    assert queues.sources() == []
    assert queues.channel.is_open
    assert queues.handler.log == []


async def test_stopping_a_partition_waits_for_its_task_and_tells(queues: Queues) -> None:
    consumer = await queues.serve(PARTITION)
    queues.handler.held.add("q.0")

    consumer.stop()
    await turns()
    assert queues.sources() == ["q.0"]

    queues.handler.held.clear()
    consumer.look_again()
    await asyncio.wait_for(queues.serving, 5)
    assert queues.handler.log == [("paused", "q.0")]


async def test_a_paused_partition_that_was_busy_is_offered_no_more(queues: Queues) -> None:
    consumer = await queues.serve(PARTITION)

    consumer.pause("operator")
    consumer.offer()
    await auntil(lambda: queues.handler.log == [("paused", "q.0")], "the pause")
    await turns()

    assert queues.sources() == []


@pytest.mark.parametrize("spec", [QUEUE, PARTITION])
async def test_a_consumer_that_the_broker_ends_takes_its_channel_along(
    queues: Queues, spec: Consumed
) -> None:
    consumer = await queues.serve(spec)
    channel = queues.channel

    next(iter(channel.consumers.values()))[3]("the queue was deleted")
    with pytest.raises(ChannelClosed, match="the queue was deleted"):
        await asyncio.wait_for(queues.serving, 5)

    assert queues.handler.log == [("lost", channel)]
    assert not channel.is_open
    assert not consumer.consuming


async def test_an_unforeseen_error_leaves_no_channel_with_consumers_behind(queues: Queues) -> None:
    consumer = await queues.serve(QUEUE)
    channel = queues.channel

    async def consume(*_: object, **__: object) -> str:
        raise TimeoutError("no consume-ok within 10 s")

    channel.consume = consume  # type: ignore[method-assign]
    consumer.pause("operator")
    await auntil(lambda: queues.handler.log == [("paused", "q")], "the pause")
    consumer.resume("operator")
    with pytest.raises(ChannelClosed, match="no consume-ok"):
        await asyncio.wait_for(queues.serving, 5)

    assert queues.handler.log[-1] == ("lost", channel)
    assert not channel.is_open


async def test_a_plain_queue_needs_a_handler_of_two_methods(queues: Queues) -> None:
    class Shard:
        def delivered(self, queue: str, delivery: Delivery) -> None:
            got.append(delivery)

        def channel_lost(self, channel: object) -> None:
            lost.append(channel)

    got: list[Delivery] = []
    lost: list[object] = []
    consumer = plain_queue(Consumed("shard", ("shard",), 9), Shard())
    serving = asyncio.create_task(consumer.serve(queues.link))  # type: ignore[arg-type]
    await auntil(lambda: consumer.active, "its consumer")
    one = delivery(queues.channel)

    next(iter(queues.channel.consumers.values()))[2](one)
    queues.channel.end("gone")
    with pytest.raises(ChannelClosed, match="gone"):
        await asyncio.wait_for(serving, 5)

    assert (got, lost) == ([one], [queues.channel])
