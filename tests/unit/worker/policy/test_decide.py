"""From an outcome to one decision."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from rmqwork._topology.topology import RETURN_EXCHANGE
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.copies import dead_letter
from rmqwork._worker.policy.decide import Ack, PublishThenAck, decide, unknown_task
from rmqwork.types import Evidence, Failure, Publication, Reason, RetryOutcome, Success
from tests.unit.fakes import delivery

EVIDENCE = Evidence("shop.Broken", "it broke", "Traceback …\nshop.Broken: it broke\n")
FRAME = 131_072


def held(attempt: int = 1, queue: str = "q", **given: object) -> HeldDelivery:
    one = delivery(**given)
    return HeldDelivery(1, one, queue, one.message_id or "made-up", attempt)


def publication_of(decision: object) -> Publication:
    assert isinstance(decision, PublishThenAck)
    return decision.publication


def test_a_success_is_acked():
    assert decide(held(), Success(0.1), "host") == Ack()


@pytest.mark.parametrize(("counts", "attempt"), [(True, 4), (False, 3)])
def test_another_try_goes_through_the_delay_queues_to_its_own_queue(counts: bool, attempt: int):
    before = time.time()

    sent = publication_of(
        decide(held(attempt=3), RetryOutcome(0.1, 60.0, counts, EVIDENCE), "host")
    )

    assert (sent.exchange, sent.routing_key) == (RETURN_EXCHANGE, "q")
    assert sent.headers["rmqwork-attempt"] == attempt
    assert sent.due is not None
    assert before + 60 <= sent.due <= time.time() + 60


def test_another_try_at_once_needs_no_delay_queue():
    assert (
        publication_of(decide(held(), RetryOutcome(0.1, 0.0, True, EVIDENCE), "host")).due is None
    )


def test_another_try_may_be_for_another_queue():
    sent = publication_of(
        decide(held(), RetryOutcome(0.1, 1, True, EVIDENCE), "host", "q.suspects")
    )

    assert sent.routing_key == "q.suspects"


@pytest.mark.parametrize("reason", list(Reason))
def test_a_failure_is_dead_lettered_with_the_evidence(reason: Reason):
    """Section 5 of the contract: body byte for byte, and what a person needs to know."""
    one = held(
        attempt=5,
        body=b"\x00 not even JSON",
        exchange="events",
        routing_key="order.new",
        headers={"traceparent": "00-ab", "x-death": [1], "CC": ["x"], "rmqwork-d3": True},
        priority=7,
        correlation_id="c",
        reply_to="r",
        timestamp=17,
        app_id="shop",
        content_encoding="gzip",
    )

    sent = publication_of(decide(one, Failure(0.1, reason, EVIDENCE), "pod-7"))

    at = str(sent.headers["rmqwork-error-at"])
    assert abs(datetime.fromisoformat(at) - datetime.now().astimezone()) < timedelta(seconds=5)
    assert {key: value for key, value in sent.headers.items() if key != "rmqwork-error-at"} == {
        "traceparent": "00-ab",
        "rmqwork-exchange": "events",
        "rmqwork-routing-key": "order.new",
        "rmqwork-queue": "q",
        "rmqwork-attempt": 5,
        "rmqwork-host": "pod-7",
        "rmqwork-error-reason": reason.value,
        "rmqwork-error-type": "shop.Broken",
        "rmqwork-error-message": "it broke",
        "rmqwork-error-traceback": EVIDENCE.traceback,
    }
    assert (sent.exchange, sent.routing_key, sent.due) == ("", "q.dlq", None)
    assert (sent.body, sent.message_id, sent.type) == (one.delivery.body, "id-1", "shop.task")
    assert (sent.priority, sent.correlation_id, sent.reply_to) == (7, "c", "r")
    assert (sent.timestamp, sent.app_id, sent.content_encoding) == (17, "shop", "gzip")


def test_without_a_traceback_there_is_no_header_for_one():
    sent = dead_letter(held(), Reason.EXPIRED, Evidence("Expired", "late"), "host")

    assert "rmqwork-error-traceback" not in sent.headers


# ── unknown tasks ─────────────────────────────────────────────────────────────────────────────


def test_an_unknown_task_waits_for_a_worker_that_knows_it():
    before = time.time()

    sent = publication_of(unknown_task(held(attempt=2), "no task 'x'", 600, "host"))

    assert sent.routing_key == "q"
    assert sent.due is not None
    assert before < sent.due <= time.time() + 10
    since = sent.headers["rmqwork-unknown-since"]
    assert isinstance(since, int)
    assert abs(since / 1000 - before) < 1
    assert "rmqwork-attempt" not in sent.headers  # none is spent


def test_the_grace_counts_from_the_first_time():
    since = round((time.time() - 599.9) * 1000)
    one = held(headers={"rmqwork-unknown-since": since})

    sent = publication_of(unknown_task(one, "no task 'x'", 600, "host"))

    assert sent.headers["rmqwork-unknown-since"] == since
    assert sent.due is not None
    assert sent.due <= time.time() + 0.2


@pytest.mark.parametrize(("grace", "age"), [(600, 601), (0, 0)])
def test_after_the_grace_it_is_dead_lettered(grace: float, age: float):
    since = round((time.time() - age) * 1000)
    headers = {"rmqwork-unknown-since": since} if age else {}

    sent = publication_of(unknown_task(held(headers=headers), "no task 'x'", grace, "host"))

    assert sent.routing_key == "q.dlq"
    assert sent.headers["rmqwork-error-reason"] == "unknown-task"
    assert "no task 'x'" in str(sent.headers["rmqwork-error-message"])
    assert sent.headers["rmqwork-attempt"] == 1


def test_a_short_grace_is_tried_often_enough():
    sent = publication_of(unknown_task(held(), "no task 'x'", 5, "host"))

    assert sent.due is not None
    assert sent.due - time.time() <= 0.51
