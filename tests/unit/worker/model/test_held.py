"""What is read from a delivery, whatever a foreign producer has put there."""

from __future__ import annotations

import time

import pytest

from rmqwork._messages.history import HISTORY
from rmqwork._worker.model.held import HeldDelivery, Stage, WrongStage, attempt_of, expired
from tests.unit.fakes import FakeConsumeChannel, delivery


@pytest.mark.parametrize(
    ("value", "attempt"),
    [(3, 3), (1, 1), (0, 1), (-7, 1), ("3", 1), (True, 1), (None, 1), (2.5, 1), ([], 1)],
)
def test_a_strange_attempt_is_the_first(value: object, attempt: int):
    assert attempt_of(delivery(headers={"rmqwork-attempt": value})) == attempt


def test_a_message_expires_at_its_time():
    now = round(time.time() * 1000)

    assert expired(delivery(headers={"rmqwork-expires-at": now - 1}))
    assert not expired(delivery(headers={"rmqwork-expires-at": now + 5000}))
    assert not expired(delivery(headers={"rmqwork-expires-at": "yesterday"}))
    assert not expired(delivery())


def test_it_can_be_settled_while_its_channel_stands():
    channel = FakeConsumeChannel()
    held = HeldDelivery(1, delivery(channel), "q", "id", 1)

    assert held.settleable
    channel.is_open = False
    assert not held.settleable


def test_a_message_without_an_id_is_like_no_other():
    assert HeldDelivery(1, delivery(message_id=None), "q", "made-up", 1).key is None
    assert HeldDelivery(1, delivery(message_id=""), "q", "made-up", 1).key is None


@pytest.mark.parametrize(
    "other",
    [
        {"queue": "other"},
        {"attempt": 2},
        {"message_id": "id-2"},
        {"body": b"{ }"},
        {"headers": {"rmqwork-replay": 1}},
    ],
)
def test_the_same_run_has_the_same_key_and_no_other(other: dict[str, object]):
    def key(queue: str = "q", attempt: int = 1, **given: object) -> object:
        return HeldDelivery(1, delivery(**given), queue, "id", attempt).key

    assert key() == key(redelivered=True, tag=9, exchange="", headers={"x-delivery-count": 2})
    assert key(**other) != key()  # type: ignore[arg-type]


def held(queue: str = "q", source: str = "q") -> HeldDelivery:
    return HeldDelivery(1, delivery(queue=source, headers={"a": 1}), queue, "id-1", 1, "thread")


def test_it_is_sent_when_it_is_ready_and_only_then() -> None:
    one = held()
    one.send()
    with pytest.raises(WrongStage, match="id-1 is sent: it cannot be sent"):
        one.send()
    one.await_executor(alone=True)
    one.send()
    assert (one.stage, one.alone) == (Stage.SENT, True)
    one.await_attempt()
    with pytest.raises(WrongStage, match="waiting"):
        one.send()


def test_what_is_being_settled_never_runs_again() -> None:
    one = held()
    one.finish()
    for verb in (one.await_executor, one.await_attempt, one.send, lambda: one.renumber(2)):
        with pytest.raises(WrongStage):
            verb()
    assert (one.stage, one.number) == (Stage.FINISHED, 1)


def test_further_headers_leave_the_delivery_as_it_was() -> None:
    one = held()
    before = one.delivery
    one.begin_attempt({HISTORY: "h"})
    assert (dict(before.headers), one.attempt) == ({"a": 1}, 2)
    assert one.delivery.headers == {"a": 1, HISTORY: "h"}

    again = delivery(headers={"b": 2})
    one.adopt(again)
    assert one.delivery is again  # a queue's further attempts carry their history
    one.partition = "q.0"
    one.note({HISTORY: "h"})
    one.adopt(delivery(headers={"c": 3}))
    assert one.delivery.headers == {"c": 3, HISTORY: "h"}


def test_a_suspect_is_known_by_the_queue_that_it_came_from() -> None:
    assert not held().from_suspects
    assert not held("q", "q.due").from_suspects
    assert held("q", "q.suspects").from_suspects
    assert held("q", "q.suspects").came_before
