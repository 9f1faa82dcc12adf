"""Carry decisions out, in the order that loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._worker.model.held import HeldDelivery, Stage
from rmqwork._worker.policy.decide import Ack, HandBack, PublishThenAck, again
from rmqwork._worker.settle import settlement as module
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.errors import BrokerUnavailable, ConfigurationError, InvalidMessage, Nacked, Unroutable
from rmqwork.types import Publication
from tests.unit.fakes import FakeConsumeChannel, delivery, turns
from tests.waiting import auntil


class FakePublisher:
    """Keeps what is to be published; the test answers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)

    @property
    def sent(self) -> list[Publication]:
        return [entry.publication for batch in self.batches for entry in batch.entries]

    def answer(self, error: Exception | None = None) -> None:
        """Answer the last one; an error that is no PublishError is raised by its future."""
        batch = self.batches[-1]
        if isinstance(error, ConfigurationError | InvalidMessage):
            batch.end(error)
        else:
            batch.entries[0].finish(error)  # type: ignore[arg-type]


class Room:
    """A settlement with all that is around it."""

    def __init__(self) -> None:
        self.publisher = FakePublisher()
        self.memory = RedeliveryMemory()
        self.done: list[HeldDelivery] = []
        self.repairs = 0
        self.repair_error: Exception | None = None
        self.settlement = Settlement(
            self.publisher,  # type: ignore[arg-type]
            self.memory,
            self.done.append,
            self._repair,
            pause=lambda failed: 0.0,
        )
        self.channel = FakeConsumeChannel()

    async def _repair(self) -> None:
        self.repairs += 1
        if self.repair_error is not None:
            raise self.repair_error

    def held(self, tag: int = 1, **given: object) -> HeldDelivery:
        return HeldDelivery(tag, delivery(self.channel, tag, **given), "q", "id-1", 1)

    def redelivered(self) -> HeldDelivery:
        self.channel = FakeConsumeChannel()
        return self.held(tag=5, redelivered=True)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    room.settlement.open.clear()
    await room.settlement.close(0.1)


def consequence(held: HeldDelivery) -> PublishThenAck:
    return PublishThenAck(again(held, 5.0, {"rmqwork-attempt": 2}))


async def test_a_success_is_acked_at_once(room: Room):
    held = room.held()

    room.settlement.settle(held, Ack())

    assert room.channel.log == [("ack", 1)]
    assert room.done == [held]
    assert held.stage is Stage.FINISHED
    assert room.memory.unproven(room.channel) == 1


async def test_a_hand_back_is_nacked_and_not_remembered(room: Room):
    held = room.held()

    room.settlement.settle(held, HandBack())

    assert room.channel.log == [("nack", 1)]
    assert room.done == [held]
    assert room.memory.recall(room.redelivered()) is None


async def test_a_consequence_is_confirmed_before_the_ack(room: Room):
    held = room.held()
    decision = consequence(held)

    room.settlement.settle(held, decision)
    await turns()
    assert room.publisher.sent == [decision.publication]
    assert (room.channel.log, room.done, room.settlement.open) == ([], [], {held})

    room.publisher.answer()

    assert room.channel.log == [("ack", 1)]
    assert room.done == [held]
    assert not room.settlement.open


@pytest.mark.parametrize(
    "error", [Nacked("full"), BrokerUnavailable("away"), ConfigurationError("no")]
)
async def test_a_refused_consequence_keeps_its_delivery_and_is_tried_again(
    room: Room, error: Exception, caplog: pytest.LogCaptureFixture
):
    held = room.held()
    room.settlement.settle(held, consequence(held))

    for number in range(1, 4):
        await auntil(lambda n=number: len(room.publisher.batches) == n)  # type: ignore[misc]
        room.publisher.answer(error)
        assert room.channel.log == []
        assert room.settlement.open == {held}
    await auntil(lambda: len(room.publisher.batches) == 4)
    room.publisher.answer()

    assert room.channel.log == [("ack", 1)]
    assert len({p.message_id for p in room.publisher.sent}) == 1
    assert str(error) in caplog.text
    assert "keeps its delivery" in caplog.text


async def test_an_unroutable_consequence_has_the_topology_declared_again(room: Room):
    held = room.held()
    room.settlement.settle(held, consequence(held))

    room.publisher.answer(Unroutable("no dead-letter queue"))

    await auntil(lambda: room.repairs == 1 and len(room.publisher.batches) == 2)
    assert room.channel.log == []


async def test_a_repair_that_fails_is_said_and_nothing_else(
    room: Room, caplog: pytest.LogCaptureFixture
):
    room.repair_error = ConfigurationError("may not")
    held = room.held()
    room.settlement.settle(held, consequence(held))

    room.publisher.answer(Unroutable("no dead-letter queue"))

    await auntil(lambda: "may not" in caplog.text)
    await auntil(lambda: len(room.publisher.batches) == 2)


async def test_a_consequence_that_cannot_be_encoded_is_made_smaller(room: Room):
    """It is never published otherwise, and its delivery held for ever."""
    held = room.held(headers={"strange": 1})
    room.settlement.settle(held, consequence(held))
    assert "strange" in room.publisher.sent[0].headers

    room.publisher.answer(InvalidMessage("does not fit"))

    await auntil(lambda: len(room.publisher.batches) == 2)
    assert "strange" not in room.publisher.sent[1].headers
    assert room.publisher.sent[1].headers["rmqwork-attempt"] == 2


# ── the channel is gone ───────────────────────────────────────────────────────────────────────


async def test_without_a_channel_nothing_is_published_and_the_decision_waits(room: Room):
    """Else every fault would fork the message into two lineages."""
    held = room.held()
    decision = consequence(held)
    room.channel.is_open = False

    room.settlement.settle(held, decision)
    await turns()

    assert room.publisher.batches == []
    assert room.done == [held]
    assert room.memory.recall(room.redelivered()) is decision


async def test_a_hand_back_without_a_channel_is_done(room: Room):
    """Given that it is redelivered, then it runs: it is not handed back a second time."""
    held = room.held()
    room.memory.runs_on(held)
    room.channel.is_open = False

    room.settlement.settle(held, HandBack())

    assert room.done == [held]
    assert room.memory.recall(room.redelivered()) is None


async def test_a_channel_lost_during_the_publish_leaves_only_the_ack(room: Room):
    held = room.held()
    room.settlement.settle(held, consequence(held))
    room.channel.is_open = False

    room.publisher.answer()

    assert room.channel.log == []
    assert room.memory.recall(room.redelivered()) == Ack()
    assert room.done == [held]


async def test_a_redelivery_during_the_publish_is_acked_instead(room: Room):
    held = room.held()
    room.settlement.settle(held, consequence(held))
    old = room.channel
    old.is_open = False
    held.delivery = room.redelivered().delivery  # adopted, as the worker does it

    room.publisher.answer()

    assert old.log == []
    assert room.channel.log == [("ack", 5)]


async def test_a_channel_lost_before_the_next_try_keeps_the_decision(room: Room):
    held = room.held()
    decision = consequence(held)
    room.settlement.settle(held, decision)
    room.publisher.answer(Nacked("full"))
    room.channel.is_open = False

    await auntil(lambda: not room.settlement.open)

    assert len(room.publisher.batches) == 1
    assert room.memory.recall(room.redelivered()) == decision


# ── proof ─────────────────────────────────────────────────────────────────────────────────────


async def test_acks_are_forgotten_when_they_are_proven(room: Room):
    room.settlement.settle(room.held(), Ack())

    assert await room.settlement.prove()

    assert room.channel.syncs == 1
    room.memory.lost(room.channel)
    assert room.memory.recall(room.redelivered()) is None


async def test_proof_is_asked_for_now_and_then(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_PROOF_EVERY", 0.001)
    room = Room()
    room.settlement.settle(room.held(), Ack())

    await auntil(lambda: room.memory.unproven(room.channel) == 0)

    await room.settlement.close(0.1)


async def test_a_channel_that_ends_proves_nothing(room: Room):
    room.settlement.settle(room.held(), Ack())
    room.channel.is_open = False

    assert not await room.settlement.prove()

    room.memory.lost(room.channel)
    assert room.memory.recall(room.redelivered()) == Ack()


async def test_close_waits_for_consequences_and_proof(room: Room):
    held = room.held()
    room.settlement.settle(held, consequence(held))

    closing = asyncio.create_task(room.settlement.close(5))
    await turns()
    assert not closing.done()
    room.publisher.answer()

    assert await closing
    assert room.channel.log == [("ack", 1)]
    assert room.channel.syncs >= 1


async def test_close_says_when_something_is_left(room: Room):
    held = room.held()
    room.settlement.settle(held, consequence(held))

    assert not await room.settlement.close(0.03)
    assert room.channel.log == []
