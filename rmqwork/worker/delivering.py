"""Held deliveries as messages for an executor."""

from __future__ import annotations

from collections.abc import Sequence

from rmqwork.types import Delivery
from rmqwork.worker import wire
from rmqwork.worker.executor import Executor
from rmqwork.worker.held import Held


def give(executor: Executor, lane: str, batch: Sequence[Held]) -> None:
    """Give an executor deliveries of one lane."""
    messages = [_message(held) for held in batch]
    if lane == "async":
        executor.send_async(messages)
    else:
        executor.send_threads(messages)


def _message(held: Held) -> wire.Message:
    delivery = held.delivery
    return (
        "d",
        held.number,
        held.queue,
        delivery.type,
        delivery.body,
        held.attempt,
        delivery.redelivered,
        held.task_id,
        delivery.headers or None,
        delivery.content_type,
        _extras(delivery),
    )


def _extras(delivery: Delivery) -> dict[str, object] | None:
    """What few messages have or few tasks want, by name."""
    extras: dict[str, object] = {}
    if delivery.timestamp is not None:
        extras["timestamp"] = delivery.timestamp
    if delivery.content_encoding is not None:
        extras["content_encoding"] = delivery.content_encoding
    if delivery.reply_to:
        extras["reply"] = True
    return extras or None
