"""What is remembered of deliveries whose channel was lost."""

from __future__ import annotations

import pytest

from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.copies import again
from rmqwork._worker.policy.decide import Ack, PublishThenAck
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from tests.unit.fakes import FakeConsumeChannel, delivery


def held(
    redelivered: bool = False, number: int = 1, attempt: int = 1, **given: object
) -> HeldDelivery:
    return HeldDelivery(number, delivery(redelivered=redelivered, **given), "q", "id", attempt)


def again_(**given: object) -> HeldDelivery:
    """The redelivery of the same."""
    return held(redelivered=True, number=99, tag=1, **given)


def test_an_unproven_ack_is_given_again_once():
    memory, channel = RedeliveryMemory(), FakeConsumeChannel()
    memory.acked(held(channel=channel))

    memory.lost(channel)

    assert memory.recall(again_()) == Ack()
    assert memory.recall(again_()) is None


def test_the_ack_of_a_message_that_was_moved_is_not_given_to_its_copy():
    """The copy is of the same id and attempt; acked without a run, the message would be lost."""
    memory, channel = RedeliveryMemory(), FakeConsumeChannel()
    moved = held(channel=channel)
    moved.finish(continued=True)
    memory.acked(moved)
    assert memory.unproven(channel) == 1

    memory.lost(channel)
    memory.outcome(moved, Ack())

    copy = HeldDelivery(2, delivery(queue="q.suspects"), "q", "id", 1)
    assert copy.key == moved.key
    assert memory.recall(copy) is None
    assert memory.recall(again_()) is None


def test_a_proven_ack_is_forgotten():
    """What comes again after that is somebody's replay, and runs."""
    memory, channel = RedeliveryMemory(), FakeConsumeChannel()
    memory.acked(held(channel=channel))
    assert (memory.unproven(channel), memory.channels()) == (1, [channel])

    memory.proven(channel, 1)
    memory.lost(channel)

    assert memory.channels() == []
    assert memory.recall(again_()) is None


def test_only_what_was_acked_before_the_proof_was_asked_for_is_proven():
    memory, channel = RedeliveryMemory(), FakeConsumeChannel()
    memory.acked(held(channel=channel, message_id="early"))
    count = memory.unproven(channel)
    memory.acked(held(channel=channel, message_id="late"))

    memory.proven(channel, count)
    memory.lost(channel)

    assert memory.recall(again_(message_id="early")) is None
    assert memory.recall(again_(message_id="late")) == Ack()


def test_the_acks_of_other_channels_are_not_touched():
    memory, one, other = RedeliveryMemory(), FakeConsumeChannel(), FakeConsumeChannel()
    memory.acked(held(channel=one, message_id="one"))
    memory.acked(held(channel=other, message_id="other"))

    memory.lost(one)

    assert memory.recall(again_(message_id="other")) is None
    assert memory.recall(again_(message_id="one")) == Ack()
    assert memory.channels() == [other]


def test_only_redeliveries_are_recalled():
    memory = RedeliveryMemory()
    memory.outcome(held(), Ack())

    assert memory.recall(held()) is None
    assert memory.recall(again_()) == Ack()


@pytest.mark.parametrize(
    "other",
    [
        {"message_id": "another"},
        {"attempt": 2},
        {"body": b"edited"},
        {"headers": {"rmqwork-replay": 1}},
    ],
)
def test_another_run_is_not_this_one(other: dict[str, object]):
    memory = RedeliveryMemory()
    memory.outcome(held(), Ack())

    assert memory.recall(again_(**other)) is None
    assert memory.recall(again_()) == Ack()


def test_a_run_that_goes_on_is_adopted_once():
    memory, run = RedeliveryMemory(), held()
    memory.runs_on(run)

    assert memory.recall(again_()) is run
    assert memory.recall(again_()) is None


def test_the_outcome_of_a_run_takes_the_place_of_the_run():
    memory, run = RedeliveryMemory(), held()
    decision = PublishThenAck(again(run, 1.0, {}))
    memory.runs_on(run)

    memory.outcome(run, decision)

    assert memory.recall(again_()) is decision
    assert memory.recall(again_()) is None


def test_a_run_that_is_finished_is_adopted_no_more():
    memory, run = RedeliveryMemory(), held()
    memory.runs_on(run)

    memory.finished(run)

    assert memory.recall(again_()) is None


def test_a_message_without_an_id_is_not_remembered():
    memory, channel = RedeliveryMemory(), FakeConsumeChannel()
    nameless = held(channel=channel, message_id=None)
    memory.acked(nameless)
    memory.lost(channel)
    memory.runs_on(nameless)
    memory.outcome(nameless, Ack())

    assert memory.recall(again_(message_id=None)) is None


def test_the_oldest_is_forgotten_when_there_is_too_much():
    memory = RedeliveryMemory(most=3)
    for number in range(5):
        memory.outcome(held(message_id=f"o{number}"), Ack())
        memory.runs_on(held(message_id=f"r{number}"))

    assert [memory.recall(again_(message_id=f"o{n}")) is not None for n in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert [memory.recall(again_(message_id=f"r{n}")) is not None for n in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
