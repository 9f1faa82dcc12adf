"""Interfaces: the handlers of what is consumed."""

from __future__ import annotations

from typing import Protocol

from rmqwork._transport.port import ConsumeChannel
from rmqwork.types import Delivery


class DeliveryHandler(Protocol):
    """Takes the deliveries of a queue."""

    def delivered(self, queue: str, delivery: Delivery) -> None:
        """Take a delivery of one of the app's queues."""

    def channel_lost(self, channel: ConsumeChannel) -> None:
        """Take note that deliveries of this channel can be settled no more; they come again."""


class WorkerHandler(DeliveryHandler, Protocol):
    """Takes the deliveries of queues that can be paused, of their partitions and suspects."""

    def paused(self, queue: str) -> None:
        """Take note that a queue, or a partition, has no consumer any more: nothing of it comes
        until it is resumed."""

    def holds(self, partition: str) -> bool:
        """Return True while a task of a partition runs: its consumer must not end before, because
        the next message would go to the next consumer.
        """
        ...

    def suspects_stopped(self, queue: str) -> None:
        """Take note that its suspects queue has no consumer any more, as was wished."""
