"""What the headers of a dead letter tell."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rmqwork._messages.dead_letter import DeadLetter, dead_letter
from rmqwork.types import Delivery


def letter(headers: dict[str, object], **changed: object) -> DeadLetter:
    delivery = Delivery(
        None, 1, "q.dlq", "", "q.dlq", False, b"{}", headers, "id", "shop.add",
        "application/json", None, None, None, 3, 1_800_000_000, None,
    )  # fmt: skip
    for name, value in changed.items():
        setattr(delivery, name, value)
    return dead_letter(delivery, "q")


def death(queue: str, reason: str) -> dict[str, object]:
    return {
        "queue": queue,
        "reason": reason,
        "exchange": "rmqwork.tasks",
        "routing-keys": ["images.x", "cc"],
        "time": "2030-01-31T08:00:00",
        "count": 1,
    }


def test_a_letter_that_a_worker_wrote() -> None:
    found = letter(
        {
            "rmqwork-error-reason": "failed",
            "rmqwork-error-type": "ValueError",
            "rmqwork-error-message": "bad",
            "rmqwork-error-traceback": "Traceback…",
            "rmqwork-error-at": "2030-01-31T08:00:00.000+00:00",
            "rmqwork-attempt": 5,
            "rmqwork-host": "pod-1",
            "rmqwork-exchange": "events",
            "rmqwork-routing-key": "images.new",
            "rmqwork-queue": "images",
        }
    )
    assert (found.reason, found.by_broker, found.attempt) == ("failed", False, 5)
    assert (found.error_type, found.error_message) == ("ValueError", "bad")
    assert found.at == datetime(2030, 1, 31, 8, tzinfo=UTC)
    assert (found.exchange, found.routing_key) == ("events", "images.new")
    assert (found.queue, found.host, found.traceback) == ("images", "pod-1", "Traceback…")
    assert found.properties == {
        "content_type": "application/json",
        "priority": 3,
        "timestamp": 1_800_000_000,
    }


def test_a_letter_that_the_broker_moved() -> None:
    found = letter({"x-death": [death("q", "expired"), death("p", "maxlen")]})
    assert (found.reason, found.by_broker, found.queue) == ("expired", True, "q")
    assert (found.exchange, found.routing_key) == ("rmqwork.tasks", "images.x")
    assert found.at == datetime(2030, 1, 31, 8, tzinfo=UTC)


def test_steps_of_a_delay_are_no_deaths() -> None:
    steps = [death("rmqwork.delay.v1.03", "expired"), death("q", "delivery_limit")]
    assert letter({"x-death": steps}).reason == "delivery_limit"
    assert letter({"x-death": steps[:1]}).reason == "unknown"


def test_only_the_first_death_is_told() -> None:
    found = letter(
        {
            "x-first-death-queue": "q",
            "x-first-death-reason": "maxlen",
            "x-first-death-exchange": "e",
        }
    )
    assert (found.reason, found.by_broker, found.exchange) == ("maxlen", True, "e")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"rmqwork-attempt": "x", "rmqwork-error-at": "yesterday", "x-death": "nonsense"},
        {"rmqwork-attempt": True, "rmqwork-error-at": 10**30, "x-death": [1, None, {}]},
        {"rmqwork-attempt": -4, "rmqwork-error-at": None, "x-death": [{"routing-keys": []}]},
        {"rmqwork-error-type": b"\xff", "rmqwork-queue": 7, "rmqwork-error-traceback": [1]},
    ],
)
def test_garbage_is_read_without_a_fuss(headers: dict[str, object]) -> None:
    found = letter(headers, message_id=None, type=None, body=b"\xff\x00")
    assert found.attempt == 1
    assert found.at is None
    assert found.reason == "unknown"
    assert found.body == b"\xff\x00"
