"""Who waits for a result is answered with what follows."""

from __future__ import annotations

import pytest

from rmqwork._results import record
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.decide import Ack, PublishThenAck, decide, is_reply
from rmqwork.types import Evidence, Failure, Reason, RetryOutcome, Success
from tests.unit.fakes import delivery as made


def held(**given: object) -> HeldDelivery:
    return HeldDelivery(1, made(None, 1, **given), "q", "id-1", 1)


def test_without_a_wish_nothing_is_answered():
    one = held()
    assert decide(one, Success(0.1), "host") == Ack()
    assert decide(one, Success(0.1, b"{}"), "host") == Ack()
    for outcome in (
        RetryOutcome(0.1, 1.0, True, Evidence("E", "m")),
        Failure(0.1, Reason.FAILED, Evidence("E", "m")),
    ):
        decision = decide(one, outcome, "host")
        assert isinstance(decision, PublishThenAck)
        assert decision.more == ()


@pytest.mark.parametrize(
    ("outcome", "state", "others"),
    [
        (Success(0.1, record.success(b'{"result":4}')), "SUCCESS", 0),
        (RetryOutcome(0.1, 1.0, True, Evidence("E", "m")), "RETRY", 1),
        (Failure(0.1, Reason.FAILED, Evidence("E", "m")), "FAILURE", 1),
        (Failure(0.1, Reason.REVOKED, Evidence("E", "m")), "REVOKED", 1),
    ],
)
def test_who_waits_is_answered_with_what_follows(outcome, state, others):
    one = held(reply_to="replies", correlation_id="c-1")

    decision = decide(one, outcome, "host")

    assert isinstance(decision, PublishThenAck)
    *rest, answer = decision.publications
    assert len(rest) == others
    assert not any(map(is_reply, rest))
    assert is_reply(answer)
    assert (answer.exchange, answer.routing_key) == ("", "replies")
    assert answer.correlation_id == "c-1"
    assert record.read(answer.body).state == state
