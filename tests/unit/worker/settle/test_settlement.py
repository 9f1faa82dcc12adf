"""Carry decisions out, in the order that loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._worker.model.held import HeldDelivery, Stage
from rmqwork._worker.policy.copies import again, dead_letter
from rmqwork._worker.policy.decide import Ack, HandBack, PublishThenAck
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.settlement import OVERDUE, PROOF_INTERVAL, Settlement
from rmqwork.errors import BrokerUnavailable, ConfigurationError, InvalidMessage, Nacked, Unroutable
from rmqwork.types import Evidence, Publication, Reason
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


class SettlementHarness:
    """A settlement with all that is around it."""

    def __init__(self, proof_interval: float = PROOF_INTERVAL) -> None:
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
            proof_interval=proof_interval,
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
async def harness() -> AsyncIterator[SettlementHarness]:
    harness = SettlementHarness()
    yield harness
    harness.settlement.open.clear()
    await harness.settlement.close(0.1)


def consequence(held: HeldDelivery) -> PublishThenAck:
    return PublishThenAck(again(held, 5.0, {"rmqwork-attempt": 2}))


async def test_a_success_is_acked_at_once(harness: SettlementHarness):
    held = harness.held()

    harness.settlement.settle(held, Ack())

    assert harness.channel.log == [("ack", 1)]
    assert harness.done == [held]
    assert held.stage is Stage.FINISHED
    assert harness.memory.unproven(harness.channel) == 1


async def test_a_hand_back_is_nacked_and_not_remembered(harness: SettlementHarness):
    held = harness.held()

    harness.settlement.settle(held, HandBack())

    assert harness.channel.log == [("nack", 1)]
    assert harness.done == [held]
    assert harness.memory.recall(harness.redelivered()) is None


async def test_a_consequence_is_confirmed_before_the_ack(harness: SettlementHarness):
    held = harness.held()
    decision = consequence(held)

    harness.settlement.settle(held, decision)
    await turns()
    assert harness.publisher.sent == [decision.publication]
    assert (harness.channel.log, harness.done, [*harness.settlement.open]) == ([], [], [held])

    harness.publisher.answer()

    assert harness.channel.log == [("ack", 1)]
    assert harness.done == [held]
    assert not harness.settlement.open


@pytest.mark.parametrize(
    "error", [Nacked("full"), BrokerUnavailable("away"), ConfigurationError("no")]
)
async def test_a_refused_consequence_keeps_its_delivery_and_is_tried_again(
    harness: SettlementHarness, error: Exception, caplog: pytest.LogCaptureFixture
):
    held = harness.held()
    harness.settlement.settle(held, consequence(held))

    for number in range(1, 4):
        await auntil(lambda n=number: len(harness.publisher.batches) == n)  # type: ignore[misc]
        harness.publisher.answer(error)
        assert harness.channel.log == []
        assert [*harness.settlement.open] == [held]
    await auntil(lambda: len(harness.publisher.batches) == 4)
    harness.publisher.answer()

    assert harness.channel.log == [("ack", 1)]
    assert len({p.message_id for p in harness.publisher.sent}) == 1
    assert str(error) in caplog.text
    assert "keeps its delivery" in caplog.text


async def test_an_unroutable_consequence_has_the_topology_declared_again(
    harness: SettlementHarness,
):
    held = harness.held()
    harness.settlement.settle(held, consequence(held))

    harness.publisher.answer(Unroutable("no dead-letter queue"))

    await auntil(lambda: harness.repairs == 1 and len(harness.publisher.batches) == 2)
    assert harness.channel.log == []


async def test_a_repair_that_fails_is_said_and_nothing_else(
    harness: SettlementHarness, caplog: pytest.LogCaptureFixture
):
    harness.repair_error = ConfigurationError("may not")
    held = harness.held()
    harness.settlement.settle(held, consequence(held))

    harness.publisher.answer(Unroutable("no dead-letter queue"))

    await auntil(lambda: "may not" in caplog.text)
    await auntil(lambda: len(harness.publisher.batches) == 2)


async def test_a_consequence_that_cannot_be_encoded_is_made_smaller(harness: SettlementHarness):
    """It is never published otherwise, and its delivery held for ever."""
    held = harness.held(headers={"strange": 1})
    harness.settlement.settle(held, consequence(held))
    assert "strange" in harness.publisher.sent[0].headers

    harness.publisher.answer(InvalidMessage("does not fit"))

    await auntil(lambda: len(harness.publisher.batches) == 2)
    assert "strange" not in harness.publisher.sent[1].headers
    assert harness.publisher.sent[1].headers["rmqwork-attempt"] == 2


async def test_what_waits_long_for_confirms_is_counted(
    harness: SettlementHarness,
):
    held = harness.held()
    harness.settlement.settle(held, consequence(held))
    assert harness.settlement.overdue("q") == 0

    harness.settlement.open[held] -= OVERDUE
    assert harness.settlement.overdue("q") == 1
    assert harness.settlement.overdue("another") == 0

    harness.publisher.answer()
    assert harness.settlement.overdue("q") == 0


async def test_a_step_that_can_never_be_sent_makes_a_dead_letter(harness: SettlementHarness):
    held = harness.held()
    step = Publication("x", "k" * 300, b"{}", "next", "shop.next")
    harness.settlement.settle(held, PublishThenAck(step))

    harness.publisher.answer(InvalidMessage("its route is too long"))

    letter = harness.publisher.sent[-1]
    assert letter.routing_key == "q.dlq"
    assert letter.headers["rmqwork-error-reason"] == "invalid-message"
    assert "its route is too long" in str(letter.headers["rmqwork-error-message"])
    harness.publisher.answer()
    assert harness.channel.log == [("ack", 1)]


async def test_a_step_without_a_queue_is_given_up_after_a_while(harness: SettlementHarness):
    held = harness.held()
    step = Publication("x", "k", b"{}", "next", "shop.next")
    harness.settlement.settle(held, PublishThenAck(step))
    harness.publisher.answer(Unroutable("no queue"))
    await auntil(lambda: len(harness.publisher.batches) == 2)
    assert harness.publisher.sent[-1] == step

    harness.settlement.patience = 0.0
    harness.publisher.answer(Unroutable("no queue"))

    letter = harness.publisher.sent[-1]
    assert (letter.routing_key, letter.headers["rmqwork-error-reason"]) == ("q.dlq", "failed")


async def test_a_dead_letter_without_a_queue_is_never_given_up(harness: SettlementHarness):
    harness.settlement.patience = 0.0
    held = harness.held()
    letter = dead_letter(held, Reason.FAILED, Evidence("E", "text"), "host")
    harness.settlement.settle(held, PublishThenAck(letter))

    for count in (2, 3, 4):
        harness.publisher.answer(Unroutable("no queue"))
        await auntil(lambda count=count: len(harness.publisher.batches) == count)

    assert harness.publisher.sent[-1] == letter
    assert harness.channel.log == []


# ── the channel is gone ───────────────────────────────────────────────────────────────────────


async def test_without_a_channel_nothing_is_published_and_the_decision_waits(
    harness: SettlementHarness,
):
    """Else every fault would fork the message into two lineages."""
    held = harness.held()
    decision = consequence(held)
    harness.channel.is_open = False

    harness.settlement.settle(held, decision)
    await turns()

    assert harness.publisher.batches == []
    assert harness.done == [held]
    assert harness.memory.recall(harness.redelivered()) is decision


async def test_a_hand_back_without_a_channel_is_done(harness: SettlementHarness):
    """Given that it is redelivered, then it runs: it is not handed back a second time."""
    held = harness.held()
    harness.memory.runs_on(held)
    harness.channel.is_open = False

    harness.settlement.settle(held, HandBack())

    assert harness.done == [held]
    assert harness.memory.recall(harness.redelivered()) is None


async def test_a_channel_lost_during_the_publish_leaves_only_the_ack(harness: SettlementHarness):
    held = harness.held()
    harness.settlement.settle(held, consequence(held))
    harness.channel.is_open = False

    harness.publisher.answer()

    assert harness.channel.log == []
    assert harness.memory.recall(harness.redelivered()) == Ack()
    assert harness.done == [held]


async def test_a_redelivery_during_the_publish_is_acked_instead(harness: SettlementHarness):
    held = harness.held()
    harness.settlement.settle(held, consequence(held))
    old = harness.channel
    old.is_open = False
    held.delivery = harness.redelivered().delivery  # adopted, as the worker does it

    harness.publisher.answer()

    assert old.log == []
    assert harness.channel.log == [("ack", 5)]


async def test_a_channel_lost_before_the_next_try_keeps_the_decision(harness: SettlementHarness):
    held = harness.held()
    decision = consequence(held)
    harness.settlement.settle(held, decision)
    harness.publisher.answer(Nacked("full"))
    harness.channel.is_open = False

    await auntil(lambda: not harness.settlement.open)

    assert len(harness.publisher.batches) == 1
    assert harness.memory.recall(harness.redelivered()) == decision


# ── proof ─────────────────────────────────────────────────────────────────────────────────────


async def test_acks_are_forgotten_when_they_are_proven(harness: SettlementHarness):
    harness.settlement.settle(harness.held(), Ack())

    assert await harness.settlement.prove()

    assert harness.channel.syncs == 1
    harness.memory.lost(harness.channel)
    assert harness.memory.recall(harness.redelivered()) is None


async def test_proof_is_asked_for_now_and_then():
    harness = SettlementHarness(proof_interval=0.001)
    harness.settlement.settle(harness.held(), Ack())

    await auntil(lambda: harness.memory.unproven(harness.channel) == 0)

    await harness.settlement.close(0.1)


async def test_a_channel_that_ends_proves_nothing(harness: SettlementHarness):
    harness.settlement.settle(harness.held(), Ack())
    harness.channel.is_open = False

    assert not await harness.settlement.prove()

    harness.memory.lost(harness.channel)
    assert harness.memory.recall(harness.redelivered()) == Ack()


async def test_close_waits_for_consequences_and_proof(harness: SettlementHarness):
    held = harness.held()
    harness.settlement.settle(held, consequence(held))

    closing = asyncio.create_task(harness.settlement.close(5))
    await turns()
    assert not closing.done()
    harness.publisher.answer()

    assert await closing
    assert harness.channel.log == [("ack", 1)]
    assert harness.channel.syncs >= 1


async def test_close_says_when_something_is_left(harness: SettlementHarness):
    held = harness.held()
    harness.settlement.settle(held, consequence(held))

    assert not await harness.settlement.close(0.03)
    assert harness.channel.log == []
