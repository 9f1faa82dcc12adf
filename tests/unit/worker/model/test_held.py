"""What is read from a delivery, whatever a foreign producer has put there."""

from __future__ import annotations

import time

import pytest

from rmqwork._worker.model.held import HeldDelivery, attempt_of, expired
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
