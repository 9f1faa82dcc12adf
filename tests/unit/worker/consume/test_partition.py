"""Partitions are consumed one by one, and given up between two messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rmqwork._topology.topology import Queue, app_declarations
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.consume.partition import FirstDeliveryRequeue
from rmqwork._worker.consume.queues import worker_queues
from rmqwork._worker.model.consumed import Consumed
from rmqwork.types import Delivery
from tests.unit.fakes import FakeConnector, FakeConsumeChannel, delivery, turns
from tests.waiting import auntil

PLAN = app_declarations([Queue("q", partitions=2)])


class Owner:
    """A worker that holds some partitions."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Delivery]] = []
        self.held: set[str] = set()
        self.release: list[str] = []

    def delivered(self, queue: str, delivery: Delivery) -> None:
        self.got.append((queue, delivery))

    def channel_lost(self, channel: object) -> None: ...

    def paused(self, queue: str) -> None:
        self.release.append(queue)

    def holds(self, partition: str) -> bool:
        return partition in self.held

    def suspects_stopped(self, queue: str) -> None:
        raise AssertionError(f"{queue} has partitions, and no suspects queue of its own")


class PartitionsHarness:
    """A consumption of two partitions that runs."""

    def __init__(self) -> None:
        self.connector = FakeConnector()
        self.owner = Owner()
        queues = [Consumed("q", (name,), 1, None, name) for name in ("q.0", "q.1")]
        self.consumption = ConsumerConnection(
            self.connector,
            PLAN,
            worker_queues(queues, self.owner, hand_over_wait=0.01),
            "test",
            stop_timeout=0.2,
        )
        self.running = asyncio.create_task(self.consumption.run())

    def channel(self, partition: str) -> FakeConsumeChannel:
        for channel in self.connector.link.consuming:
            if any(one[0] == partition for one in channel.consumers.values()):
                return channel
        raise AssertionError(f"nobody consumes {partition}")

    def give(self, partition: str) -> Delivery:
        """The broker delivers something."""
        channel = self.channel(partition)
        one = delivery(channel=channel)
        next(iter(channel.consumers.values()))[2](one)
        return one


@pytest.fixture
async def harness() -> AsyncIterator[PartitionsHarness]:
    harness = PartitionsHarness()
    harness.consumption.may_start.set()
    await auntil(lambda: harness.consumption.consuming, "consuming")
    yield harness
    harness.owner.held.clear()
    await harness.consumption.stop()
    await harness.consumption.close()
    harness.running.cancel()


async def test_each_has_a_channel_and_a_prefetch_of_1(harness: PartitionsHarness):
    assert harness.channel("q.0") is not harness.channel("q.1")
    for name in ("q.0", "q.1"):
        assert [c[:2] for c in harness.channel(name).consumers.values()] == [(name, 1)]
    assert harness.consumption.serves("q.0")


async def test_the_first_delivery_is_given_back_and_no_other(harness: PartitionsHarness):
    channel = harness.channel("q.0")
    first = harness.give("q.0")
    assert channel.log == []
    await auntil(lambda: channel.log, "the hand-back")
    second = harness.give("q.0")

    assert channel.log == [("nack", first.tag)]
    assert harness.owner.got == [("q", second)]


async def test_a_partition_is_given_up_after_its_task(harness: PartitionsHarness):
    busy, idle = harness.channel("q.0"), harness.channel("q.1")
    harness.owner.held.add("q.0")

    await harness.consumption.stop()
    assert idle.cancelled
    assert not busy.cancelled
    assert harness.owner.release == ["q.1"]

    harness.owner.held.clear()
    harness.consumption.look_again("q.0")
    await auntil(lambda: busy.cancelled, "the end of its consumer")
    await auntil(lambda: harness.owner.release == ["q.1", "q.0"], "put down")


async def test_a_pause_waits_for_the_task_and_ends_with_a_new_consumer(harness: PartitionsHarness):
    channel = harness.channel("q.0")
    harness.owner.held.add("q.0")
    harness.consumption.pause("q", "operator")
    await auntil(lambda: harness.owner.release == ["q.1"], "the idle one")
    assert harness.consumption.halts("q.0")
    assert not channel.cancelled

    harness.owner.held.clear()
    harness.consumption.look_again("q.0")
    await auntil(lambda: channel.cancelled, "the other one")
    harness.consumption.resume("q", "operator")
    await auntil(lambda: harness.consumption.serves("q.0"), "a consumer again")
    await auntil(lambda: harness.consumption.serves("q.1"), "a consumer again")


async def test_one_that_is_offered_gets_a_new_consumer(harness: PartitionsHarness):
    channel = harness.channel("q.0")
    before = set(channel.consumers)

    harness.consumption.offer("q.0")
    await auntil(
        lambda: channel.cancelled and harness.consumption.serves("q.0"), "another consumer"
    )

    assert not before & set(channel.consumers)
    assert harness.owner.release == ["q.0"]
    assert not harness.consumption.halts("q.0")


async def test_no_other_prefetch_is_to_be_had(harness: PartitionsHarness):
    """Given a kill switch that lets all of the queue come again, with the prefetch of a queue
    without partitions: the next consumer has 1 all the same, or messages would overtake.
    """
    harness.consumption.set_prefetch("q", 8)
    harness.consumption.offer("q.0")
    channel = harness.channel("q.0")
    await auntil(
        lambda: channel.cancelled and harness.consumption.serves("q.0"), "another consumer"
    )

    assert [c[:2] for c in channel.consumers.values()] == [("q.0", 1)]
    assert harness.consumption.prefetch("q") == 1


async def test_while_it_is_offered_it_halts_and_its_queue_is_not_paused(
    harness: PartitionsHarness,
):
    harness.consumption.offer("q.0")

    assert harness.consumption.halts("q.0")
    assert harness.consumption.reasons("q") == frozenset()
    assert harness.consumption.consuming


async def test_a_look_at_nothing_new_changes_nothing(harness: PartitionsHarness):
    channel = harness.channel("q.0")
    before = set(channel.consumers)

    harness.consumption.look_again("q.0")
    await turns()

    assert set(channel.consumers) == before


async def test_nothing_is_given_back_on_a_channel_that_is_gone():
    channel = FakeConsumeChannel()
    first = FirstDeliveryRequeue(print, wait=60.0)
    first(delivery(channel=channel))

    channel.is_open = False
    first.end()
    first.end()

    assert channel.log == []
