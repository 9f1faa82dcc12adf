"""Consume over a connection that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from rmqwork._topology.topology import Queue, app_declarations
from rmqwork._transport.port import ChannelClosed
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.consume.queues import worker_queues
from rmqwork._worker.model.consumed import Consumed
from rmqwork.errors import TopologyMismatch
from rmqwork.types import Delivery
from tests.unit.fakes import FakeConnector, FakeConsumeChannel, QuickClock, delivery, turns
from tests.waiting import auntil

PLAN = app_declarations([Queue("a"), Queue("b")])
QUEUES = [Consumed("a", ("a", "a.due", "a.suspects"), 10), Consumed("b", ("b",), 5)]


class Taker:
    """Takes what is consumed."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Delivery]] = []
        self.lost: list[object] = []
        self.stopped: list[str] = []
        self.without: list[str] = []

    def delivered(self, queue: str, delivery: Delivery) -> None:
        self.got.append((queue, delivery))

    def channel_lost(self, channel: object) -> None:
        self.lost.append(channel)

    def paused(self, queue: str) -> None:
        self.without.append(queue)

    def holds(self, partition: str) -> bool:
        raise AssertionError(f"{partition} is no partition of these queues")

    def suspects_stopped(self, queue: str) -> None:
        self.stopped.append(queue)


class ConsumptionHarness:
    """A consumption that runs."""

    def __init__(self) -> None:
        self.connector = FakeConnector()
        self.taker = Taker()
        self.consumption = ConsumerConnection(
            self.connector,
            PLAN,
            worker_queues(QUEUES, self.taker),
            "test",
            clock=QuickClock(),
            stop_timeout=0.2,
        )
        self.running = asyncio.create_task(self.consumption.run())

    async def consumes(self) -> None:
        self.consumption.may_start.set()
        await auntil(lambda: self.consumption.consuming and self.suspects() == 1, "consuming")

    def channel(self, source: str) -> FakeConsumeChannel:
        """The channel of the last connection that consumes from a queue."""
        for channel in reversed(self.connector.link.consuming):
            if any(queue == source for queue, *_ in channel.consumers.values()):
                return channel
        raise AssertionError(f"nobody consumes {source}")

    def consumer(self, source: str):  # type: ignore[no-untyped-def]  # (queue, prefetch, deliver, cancelled)
        return next(c for c in self.channel(source).consumers.values() if c[0] == source)

    def suspects(self) -> int:
        """The prefetch of the suspects of a, 0 while there is no consumer."""
        consumers = self.channel("a").consumers.values()
        return next((prefetch for queue, prefetch, *_ in consumers if queue == "a.suspects"), 0)


@pytest.fixture
async def harness() -> AsyncIterator[ConsumptionHarness]:
    harness = ConsumptionHarness()
    yield harness
    await harness.consumption.stop()
    await harness.consumption.close()
    harness.running.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await harness.running


async def test_nothing_is_consumed_before_executors_are_ready(harness: ConsumptionHarness):
    await asyncio.wait_for(harness.consumption.connected.wait(), 5)
    await turns()

    assert harness.connector.link.declared == [PLAN]
    assert harness.connector.link.consuming == []
    assert not harness.consumption.consuming
    assert harness.consumption.server == (4, 3, 0)

    await harness.consumes()
    assert harness.consumption.problem is None


async def test_each_queue_has_its_channel_and_a_consumer_for_each_source(
    harness: ConsumptionHarness,
):
    await harness.consumes()

    one, other = harness.channel("a"), harness.channel("b")
    assert one is not other
    assert sorted(c[:2] for c in one.consumers.values()) == [
        ("a", 10),
        ("a.due", 10),
        ("a.suspects", 1),  # one at a time
    ]
    assert [c[:2] for c in other.consumers.values()] == [("b", 5)]


async def test_deliveries_are_given_with_the_apps_queue(harness: ConsumptionHarness):
    await harness.consumes()
    one, two, three = delivery(), delivery(), delivery()

    harness.consumer("a")[2](one)
    harness.consumer("a.due")[2](two)
    harness.consumer("b")[2](three)

    assert harness.taker.got == [("a", one), ("a", two), ("b", three)]


async def test_a_lost_connection_is_made_again(
    harness: ConsumptionHarness, caplog: pytest.LogCaptureFixture
):
    await harness.consumes()
    channels = list(harness.connector.link.consuming)

    harness.connector.link.lose("reset by peer")
    assert not harness.consumption.consuming
    await auntil(lambda: len(harness.connector.links) == 2 and harness.consumption.consuming)

    assert set(harness.taker.lost) == set(channels)
    assert len(harness.taker.lost) == len(channels)
    assert harness.connector.link.declared == [PLAN]
    assert "reset by peer" in caplog.text


async def test_it_waits_for_a_broker_that_is_away(
    harness: ConsumptionHarness, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    await harness.consumes()
    harness.connector.up = False
    harness.connector.link.lose()
    await auntil(lambda: harness.connector.attempts > 4)
    assert "nobody answers" in str(harness.consumption.problem)

    harness.connector.up = True

    await auntil(lambda: harness.consumption.consuming)
    assert harness.consumption.problem is None
    assert "connected again" in caplog.text


async def test_a_topology_that_does_not_suit_ends_the_start():
    harness = ConsumptionHarness()
    harness.connector.declaring = lambda plan: TopologyMismatch("a does not suit")

    with pytest.raises(TopologyMismatch):
        await asyncio.wait_for(harness.running, 5)

    assert not harness.connector.link.is_open
    assert not harness.consumption.connected.is_set()


async def test_a_topology_that_suits_no_more_is_tried_again(
    harness: ConsumptionHarness, caplog: pytest.LogCaptureFixture
):
    """Later than at the start somebody may mend it, and tasks still run."""
    await harness.consumes()
    harness.connector.declaring = lambda plan: TopologyMismatch("a does not suit")
    harness.connector.link.lose()
    await auntil(lambda: "does not suit" in caplog.text)
    assert not harness.running.done()

    harness.connector.declaring = None

    await auntil(lambda: harness.consumption.consuming)


async def test_a_cancelled_consumer_begins_again_on_a_new_channel(
    harness: ConsumptionHarness, caplog: pytest.LogCaptureFixture
):
    """Given a queue that is deleted, then it is declared again; other queues are not touched."""
    await harness.consumes()
    link, old, bystander = harness.connector.link, harness.channel("a"), harness.channel("b")
    declared = len(link.declared)

    harness.consumer("a.due")[3]("the broker cancelled the consumer")
    await auntil(lambda: harness.consumption.consuming and harness.channel("a") is not old)

    assert harness.taker.lost == [old]
    assert not old.is_open
    assert len(link.declared) == declared + 1
    assert harness.channel("b") is bystander
    assert len(harness.connector.links) == 1
    assert "'a' cannot be consumed" in caplog.text


async def test_a_channel_that_ends_is_opened_again(harness: ConsumptionHarness):
    await harness.consumes()
    old = harness.channel("b")

    old.end("PRECONDITION_FAILED - unknown delivery tag 7")
    await auntil(lambda: harness.consumption.consuming and harness.channel("b") is not old)

    assert harness.taker.lost == [old]
    assert len(harness.connector.links) == 1


async def test_a_queue_that_cannot_be_consumed_does_not_stop_the_others(
    harness: ConsumptionHarness, caplog: pytest.LogCaptureFixture
):
    await harness.consumes()
    link, bystander = harness.connector.link, harness.channel("b")
    harness.connector.consume_refusal = ChannelClosed(403, "ACCESS_REFUSED")

    harness.channel("a").end("gone")
    await auntil(lambda: len(link.consuming) > 5)
    assert not harness.consumption.consuming
    assert bystander.is_open
    assert "ACCESS_REFUSED" in caplog.text

    harness.connector.consume_refusal = None
    await auntil(lambda: harness.consumption.consuming)


async def test_prefetch_is_changed_by_a_new_consumer_that_takes_over(harness: ConsumptionHarness):
    await harness.consumes()
    channel = harness.channel("b")
    [old] = channel.consumers

    harness.consumption.set_prefetch("b", 50)
    await auntil(lambda: channel.cancelled == [old])

    assert harness.consumption.prefetch("b") == 50
    assert [c[:2] for c in channel.consumers.values()] == [("b", 50)]
    assert harness.consumption.consuming
    assert harness.taker.lost == []


async def test_suspects_have_a_prefetch_of_their_own_whose_old_consumer_ends_first(
    harness: ConsumptionHarness,
):
    await harness.consumes()
    channel = harness.channel("a")
    [old] = [tag for tag, consumer in channel.consumers.items() if consumer[0] == "a.suspects"]

    harness.consumption.set_at_once("a", 16)
    await auntil(lambda: harness.suspects() == 16)

    assert channel.cancelled == [old]  # and nobody else
    assert harness.consumption.at_once("a") == 16
    assert harness.taker.stopped == []


async def test_suspects_are_not_consumed_while_none_are_wanted(harness: ConsumptionHarness):
    await harness.consumes()
    channel = harness.channel("a")

    harness.consumption.set_at_once("a", 0)
    await auntil(lambda: harness.taker.stopped != [])

    assert harness.taker.stopped == ["a"]
    assert sorted(c[0] for c in channel.consumers.values()) == ["a", "a.due"]
    assert harness.consumption.consuming

    harness.consumption.set_at_once("a", 1)
    await auntil(lambda: len(channel.consumers) == 3)
    assert harness.suspects() == 1


async def test_after_a_loss_suspects_are_consumed_one_at_a_time(harness: ConsumptionHarness):
    await harness.consumes()
    harness.consumption.set_at_once("a", 16)
    await auntil(lambda: harness.suspects() == 16)

    harness.channel("a").end("gone")
    await auntil(lambda: harness.taker.lost != [] and harness.consumption.consuming)
    await auntil(lambda: harness.suspects() == 1)

    assert harness.consumption.at_once("a") == 1


async def test_the_same_prefetch_changes_nothing(harness: ConsumptionHarness):
    await harness.consumes()

    harness.consumption.set_prefetch("b", 5)
    await turns()

    assert harness.channel("b").cancelled == []


async def test_stop_cancels_consumers_and_what_comes_until_then_is_delivered(
    harness: ConsumptionHarness,
):
    await harness.consumes()
    channels = {harness.channel("a"), harness.channel("b")}
    late = delivery()
    harness.channel("b").late = [late]

    await harness.consumption.stop()

    assert all(channel.consumers == {} and channel.is_open for channel in channels)
    assert harness.taker.got == [("b", late)]
    assert harness.taker.lost == []
    assert harness.connector.link.is_open
    assert not harness.consumption.consuming


async def test_stop_before_the_start_ends_the_run(harness: ConsumptionHarness):
    await asyncio.wait_for(harness.consumption.connected.wait(), 5)

    await harness.consumption.stop()

    await asyncio.wait_for(harness.running, 5)
    assert harness.connector.link.consuming == []


async def test_stop_without_a_connection_ends_the_run(harness: ConsumptionHarness):
    await harness.consumes()
    harness.connector.up = False
    harness.connector.link.lose()
    await auntil(lambda: harness.connector.attempts > 2)

    await harness.consumption.stop()

    await asyncio.wait_for(harness.running, 5)


async def test_close_waits_until_the_broker_has_seen_what_was_settled(harness: ConsumptionHarness):
    await harness.consumes()
    channels = [harness.channel("a"), harness.channel("b")]
    await harness.consumption.stop()

    await harness.consumption.close()

    assert [channel.syncs for channel in channels] == [1, 1]
    assert not harness.connector.link.is_open


async def test_repair_declares_again(harness: ConsumptionHarness):
    await harness.consumption.repair()  # without a connection: nothing
    await harness.consumes()
    declared = len(harness.connector.link.declared)

    await harness.consumption.repair()

    assert len(harness.connector.link.declared) == declared + 1
