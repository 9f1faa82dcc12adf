"""Replies beside consequences: confirmed before the ack, dropped when nobody is there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.decide import decide, is_reply
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.errors import BrokerUnavailable, InvalidMessage, PublishError, Unroutable
from rmqwork.types import Evidence, Failure, Publication, Reason, Success
from tests.unit.fakes import FakeConsumeChannel, delivery
from tests.waiting import auntil


class FakePublisher:
    """Keeps batches until the test answers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)

    def publications(self) -> list[Publication]:
        return [entry.publication for entry in self.batches[-1].entries]

    def answer(self, *errors: PublishError | None) -> None:
        for entry, error in zip(self.batches[-1].entries, errors, strict=True):
            entry.finish(error)


class RepliesHarness:
    def __init__(self) -> None:
        self.publisher = FakePublisher()
        self.channel = FakeConsumeChannel()
        self.repairs = 0
        self.settlement = Settlement(
            self.publisher,  # type: ignore[arg-type]
            RedeliveryMemory(),
            lambda held: None,
            self._repair,
            pause=lambda failed: 0.0,
        )

    async def _repair(self) -> None:
        self.repairs += 1

    def held(self) -> HeldDelivery:
        return HeldDelivery(1, delivery(self.channel, 1, reply_to="r"), "q", "id-1", 1)


@pytest.fixture
async def harness() -> AsyncIterator[RepliesHarness]:
    harness = RepliesHarness()
    yield harness
    harness.settlement.open.clear()
    await harness.settlement.close(0.1)


SUCCESS = Success(0.1, b'{"state":"SUCCESS","result":1}')
FAILURE = Failure(0.1, Reason.FAILED, Evidence("E", "m"))


async def test_a_reply_is_confirmed_before_the_ack(harness: RepliesHarness):
    held = harness.held()
    harness.settlement.settle(held, decide(held, SUCCESS, "host"))
    assert harness.channel.log == []
    harness.publisher.answer(None)
    assert harness.channel.log == [("ack", 1)]
    assert harness.settlement.dropped_replies == 0


@pytest.mark.parametrize("error", [Unroutable("gone"), PublishError("too large")])
async def test_a_reply_that_nobody_can_take_is_dropped_and_the_task_acked(
    harness: RepliesHarness, error
):
    held = harness.held()
    harness.settlement.settle(held, decide(held, SUCCESS, "host"))
    harness.publisher.answer(error)
    assert harness.channel.log == [("ack", 1)]
    assert harness.settlement.dropped_replies == 1
    assert harness.repairs == 0


async def test_a_reply_waits_for_a_broker_that_is_away(harness: RepliesHarness):
    held = harness.held()
    harness.settlement.settle(held, decide(held, SUCCESS, "host"))
    harness.publisher.answer(BrokerUnavailable("away"))
    await auntil(lambda: len(harness.publisher.batches) == 2)
    assert harness.channel.log == []
    harness.publisher.answer(None)
    assert harness.channel.log == [("ack", 1)]


async def test_only_what_was_not_confirmed_is_published_again(harness: RepliesHarness):
    # Given a dead letter and a reply, of which the reply is confirmed and the letter is not
    held = harness.held()
    harness.settlement.settle(held, decide(held, FAILURE, "host"))
    letter, answer = harness.publisher.publications()
    assert (is_reply(letter), is_reply(answer)) == (False, True)
    harness.publisher.answer(Unroutable("no queue"), None)

    # Then the letter alone is tried again, and only then acked
    await auntil(lambda: len(harness.publisher.batches) == 2)
    assert harness.publisher.publications() == [letter]
    assert harness.repairs == 1
    harness.publisher.answer(None)
    assert harness.channel.log == [("ack", 1)]


async def test_the_letter_is_never_dropped_with_the_reply(harness: RepliesHarness):
    held = harness.held()
    harness.settlement.settle(held, decide(held, FAILURE, "host"))
    harness.publisher.batches[-1].end(InvalidMessage("a header does not fit"))
    await auntil(lambda: len(harness.publisher.batches) == 2)
    letter, reply = harness.publisher.publications()
    assert not is_reply(letter)
    assert is_reply(reply)
    harness.publisher.answer(None, Unroutable("nobody is there"))
    assert harness.channel.log == [("ack", 1)]
    assert harness.settlement.dropped_replies == 1
