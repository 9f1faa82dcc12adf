"""Held deliveries as messages for an executor."""

from __future__ import annotations

from collections.abc import Sequence

from rmqwork._worker.ipc import wire
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.workflow import Carried, users_part
from rmqwork._worker.processes.executor import Executor
from rmqwork.types import Delivery


def give(executor: Executor, lane: str, batch: Sequence[HeldDelivery]) -> None:
    """Give an executor deliveries of one lane."""
    messages = [_message(held) for held in batch]
    if lane == "async":
        executor.send_async(messages)
    else:
        executor.send_threads(messages)


def _message(held: HeldDelivery) -> wire.Message:
    if held.carried is not None:
        return _message_of_workflow(held, held.carried)
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


def _message_of_workflow(held: HeldDelivery, carried: Carried) -> wire.Message:
    """Its task sees neither the workflow nor the envelope."""
    delivery = held.delivery
    headers, content_type = users_part(delivery)
    extras = {**(_extras(delivery) or {}), "workflow": carried.workflow.id}
    if carried.takes_value:
        extras["value"] = True
    return (
        "d",
        held.number,
        held.queue,
        delivery.type,
        carried.body,
        held.attempt,
        delivery.redelivered,
        held.task_id,
        headers,
        content_type,
        extras,
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
    if delivery.priority is not None:
        extras["priority"] = delivery.priority
    return extras or None
