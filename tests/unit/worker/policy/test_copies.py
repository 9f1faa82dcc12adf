"""A delivery's own message on its way to another queue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._messages import headers as names
from rmqwork._transport.properties import encode
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.copies import (
    again,
    continues,
    cut,
    cut_front,
    dead_letter,
    is_copy,
    move_to_suspects,
    slim,
)
from rmqwork._worker.policy.decide import PublishThenAck
from rmqwork.types import Evidence, Publication, Reason
from tests.unit.fakes import delivery

EVIDENCE = Evidence("shop.Broken", "it broke", "Traceback …\nshop.Broken: it broke\n")
FRAME = 131_072


def held(attempt: int = 1, queue: str = "q", **given: object) -> HeldDelivery:
    one = delivery(**given)
    return HeldDelivery(1, one, queue, one.message_id or "made-up", attempt)


def publication_of(decision: object) -> Publication:
    assert isinstance(decision, PublishThenAck)
    return decision.publication


def size(publication: Publication) -> int:
    """Bytes of the header frame."""
    return 20 + len(
        encode(
            headers=publication.headers,
            priority=publication.priority,
            timestamp=publication.timestamp,
            message_id=publication.message_id,
            type=publication.type,
        )
    )


def test_where_a_message_began_is_kept_through_all_attempts():
    first = again(held(exchange="events", routing_key="order.new"), 1, {"rmqwork-attempt": 2})
    second = held(attempt=2, exchange="rmqwork.delay.v1.00", routing_key="q", headers=first.headers)

    letter = dead_letter(second, Reason.FAILED, EVIDENCE, "host")

    assert letter.headers["rmqwork-exchange"] == "events"
    assert letter.headers["rmqwork-routing-key"] == "order.new"
    assert letter.headers["rmqwork-attempt"] == 2


def test_a_delayed_first_publish_began_at_its_own_exchange():
    one = held(exchange="rmqwork.delay.v1.00", headers={"rmqwork-due": "events"})

    assert dead_letter(one, Reason.FAILED, EVIDENCE, "h").headers["rmqwork-exchange"] == "events"
    assert "rmqwork-due" not in again(one, 1, {}).headers


def test_a_message_without_an_id_gets_the_one_that_was_made_up():
    sent = dead_letter(held(message_id=None), Reason.FAILED, EVIDENCE, "host")

    assert sent.message_id == "made-up"


def test_a_suspect_is_moved_as_it_is():
    one = held(attempt=2, headers={"rmqwork-attempt": 2, "mine": 1, "x-delivery-count": 2})

    sent = move_to_suspects(one)

    assert (sent.exchange, sent.routing_key, sent.due) == ("", "q.suspects", None)
    assert sent.headers["rmqwork-attempt"] == 2
    assert sent.headers["mine"] == 1
    assert "x-delivery-count" not in sent.headers


@pytest.mark.parametrize(
    "foreign",
    [
        {},
        {"big": "x" * 130_000},
        {"big": "漢" * 43_000},
        {f"h{n}": "ü" * 100 for n in range(600)},
        {"deep": {"list": ["x" * 1000] * 100}},
        {"fraction": 1.5, "bytes": bytes(60_000)},
    ],
    ids=["none", "ascii", "utf-8", "many", "deep", "bytes"],
)
def test_a_dead_letter_fits_a_frame(foreign: dict[str, object]):
    evidence = Evidence("T" * 9999, "漢" * 99_999, "é" * 999_999)

    sent = dead_letter(held(headers=foreign), Reason.FAILED, evidence, "h" * 64)

    assert size(sent) <= FRAME
    assert sent.headers["rmqwork-error-reason"] == "failed"


def test_small_foreign_headers_are_kept():
    sent = dead_letter(held(headers={"mine": {"a": [1]}}), Reason.FAILED, EVIDENCE, "host")

    assert sent.headers["mine"] == {"a": [1]}


def test_slim_keeps_what_tells_and_drops_what_may_not_fit():
    sent = dead_letter(held(headers={"mine": 1}), Reason.FAILED, EVIDENCE, "host")

    thin = slim(sent)

    assert "mine" not in thin.headers
    assert "rmqwork-error-traceback" not in thin.headers
    assert thin.headers["rmqwork-error-message"] == "it broke"
    assert thin.body == sent.body


@given(st.text(), st.integers(4, 200))
def test_cut_texts_are_small_enough_and_begin_as_they_did(text: str, most: int):
    whole = text.encode("utf-8", "replace").decode()

    short = cut(text, most)

    assert len(short.encode()) <= most
    if len(whole.encode()) <= most:
        assert short == whole
    else:
        assert short.endswith(" …")
        assert whole.startswith(short[:-2])


@given(st.text(), st.integers(5, 200))
def test_texts_cut_in_front_end_as_they_did(text: str, most: int):
    whole = text.encode("utf-8", "replace").decode()

    short = cut_front(text, most)

    assert len(short.encode()) <= most
    if len(whole.encode()) <= most:
        assert short == whole
    else:
        assert short.startswith("… ")
        assert whole.endswith(short[2:])


def test_headers_that_cannot_be_sent_again_are_named_and_stay_behind():
    headers = {"large": "x" * 100_000, "huge": 1 << 70, "rmqwork-deep": {"a": [1 << 70]}, "ok": 1}
    letter = dead_letter(held(headers=headers), Reason.FAILED, EVIDENCE, "host")

    assert letter.headers["ok"] == 1
    assert not letter.headers.keys() & {"large", "huge", "rmqwork-deep"}
    told = str(letter.headers[names.ERROR_MESSAGE])
    assert all(name in told for name in ("large", "huge", "rmqwork-deep"))
    assert size(letter) < FRAME


def test_what_is_tried_again_goes_on_without_headers_that_cannot_be_sent():
    sent = again(held(headers={"huge": 1 << 70, "ok": 1}), 0.0, {})
    assert "huge" not in sent.headers
    assert sent.headers["ok"] == 1


def test_made_smaller_twice_it_fits_the_smallest_frame():
    headers = dict.fromkeys((names.WORKFLOW, names.EACH, "foreign"), "x" * 3000)
    letter = dead_letter(held(headers=headers), Reason.FAILED, EVIDENCE, "host" * 60)

    once = slim(letter)
    assert once.headers[names.WORKFLOW] == "x" * 3_000
    assert "foreign" not in once.headers
    twice = slim(once)
    assert twice.headers[names.ERROR_REASON] == "failed"
    assert size(twice) < 4_096


def test_copies_are_told_from_next_steps():
    one = held()
    assert is_copy(one, again(one, 0.0, {}))
    assert is_copy(one, again(one, 0.0, {}, "q.suspects"))
    assert is_copy(one, dead_letter(one, Reason.FAILED, EVIDENCE, "host"))
    assert not is_copy(one, Publication("", "q", b"{}", "another", "t"))
    assert not is_copy(one, Publication("x", "q", b"{}", one.task_id, one.delivery.type))


def test_copies_of_the_same_attempt_are_told_from_those_of_the_next_and_from_dead_letters():
    one = held(attempt=2, headers={names.ATTEMPT: 2})
    assert continues(one, move_to_suspects(one))
    assert continues(one, again(one, 0.0, {}))
    assert not continues(one, again(one, 0.0, {names.ATTEMPT: 3}))
    assert not continues(one, dead_letter(one, Reason.FAILED, EVIDENCE, "host"))
    assert not continues(one, Publication("", "q", b"{}", "another", one.delivery.type))
