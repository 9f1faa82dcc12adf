"""Held deliveries as messages for an executor."""

from __future__ import annotations

from typing import Any

import pytest

from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.processes.delivering import give
from tests.unit.fakes import delivery


class FakeExecutor:
    """An executor that keeps what it is sent, by lane."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Any]] = {"thread": [], "async": []}

    def send_threads(self, messages: list[Any]) -> None:
        self.sent["thread"] += messages

    def send_async(self, messages: list[Any]) -> None:
        self.sent["async"] += messages


def held(number: int, **given: Any) -> HeldDelivery:
    return HeldDelivery(number, delivery(None, number, **given), "q", f"id-{number}", 2)


@pytest.mark.parametrize("lane", ["thread", "async"])
def test_a_batch_goes_to_its_lane_in_order(lane: str) -> None:
    executor = FakeExecutor()

    give(executor, lane, [held(1), held(2)])  # type: ignore[arg-type]

    assert [message[:2] for message in executor.sent.pop(lane)] == [("d", 1), ("d", 2)]
    assert list(executor.sent.values()) == [[]]


def test_a_plain_message_carries_no_more_than_it_has() -> None:
    executor = FakeExecutor()
    give(executor, "thread", [held(1)])  # type: ignore[arg-type]

    (message,) = executor.sent["thread"]
    assert message == (
        "d", 1, "q", "shop.task", b"{}", 2, False, "id-1", None, "application/json", None
    )  # fmt: skip


def test_what_few_messages_have_goes_along_by_name() -> None:
    executor = FakeExecutor()
    rare: dict[str, Any] = {
        "timestamp": 0, "content_encoding": "zstd", "reply_to": "answers", "headers": {"mine": 1},
        "redelivered": True,
    }  # fmt: skip
    give(executor, "thread", [held(1, **rare)])  # type: ignore[arg-type]

    (message,) = executor.sent["thread"]
    assert message[-1] == {"timestamp": 0, "content_encoding": "zstd", "reply": True}
    assert (message[6], message[8]) == (True, {"mine": 1})
