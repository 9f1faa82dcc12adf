"""Who takes what is consumed, and who says when that may begin."""

from __future__ import annotations

from typing import Protocol

from rmqwork._transport.port import ConsumeChannel
from rmqwork.types import Delivery


class Consumer(Protocol):
    """Who takes what is consumed."""

    def delivered(self, queue: str, delivery: Delivery) -> None:
        """A message of one of the worker's queues has come."""

    def channel_lost(self, channel: ConsumeChannel) -> None:
        """Deliveries of this channel can be settled no more; they will come again."""

    def paused(self, queue: str) -> None:
        """A queue, or a partition, has no consumer any more: nothing of it comes until it is
        resumed."""

    def holds(self, partition: str) -> bool:
        """Whether a task of a partition runs: its consumer must not end before, because the next
        message would go to the next consumer.
        """
        ...

    def suspects_stopped(self, queue: str) -> None:
        """Its suspects queue has no consumer any more, as was wished by `set_at_once`."""


class StartGate(Protocol):
    """What goes on beside consumption, and may hold back its beginning."""

    async def run(self) -> None:
        """Do it until cancelled."""

    async def known(self) -> None:
        """Returns when consumption may begin, as far as the companion is concerned."""
