"""The consumer of a partition: one message at a time, in the order of the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from rmqwork._worker.consume.channel import QueueChannel
from rmqwork.types import Delivery

PREFETCH: Final = 1
HAND_OVER_WAIT: Final = 0.25
"""Seconds for which a new consumer of a partition waits for what the one before it gives back."""


class PartitionConsumer:
    """Consumes a partition; its first delivery is given back (`FirstDeliveryRequeue`).

    Args:
        partition: the broker's queue.
        hand_over_wait: seconds to wait for what the consumer before it gives back.
    """

    def __init__(self, partition: str, hand_over_wait: float = HAND_OVER_WAIT) -> None:
        self._partition = partition
        self._wait = hand_over_wait
        self._tag: str | None = None
        self._first: FirstDeliveryRequeue | None = None

    @property
    def active(self) -> bool:
        """True while there is a consumer."""
        return self._tag is not None

    async def adjust(self, channel: QueueChannel) -> None:
        """Have a consumer."""
        if self._tag is None:
            self._dismiss()
            self._first = FirstDeliveryRequeue(channel.deliver, self._wait)
            self._tag = await channel.start(self._partition, PREFETCH, self._first)

    async def end(self, channel: QueueChannel) -> None:
        """Have no consumer."""
        tag, self._tag = self._tag, None
        if tag is not None:
            await channel.cancel(tag)
        self._dismiss()

    def forget(self) -> None:
        """Take note that the channel has ended."""
        self._tag = None
        self._dismiss()

    def _dismiss(self) -> None:
        if self._first is not None:
            self._first.end()
            self._first = None


class FirstDeliveryRequeue:
    """Gives the first delivery of a partition's new consumer back, a little later.

    When a consumer ends, the broker makes the next one active before it has back what the old one
    held: its first delivery may be a later message than those (measured on 4.3.6 and 3.10.8, with
    a cancel, a closed channel and a lost connection). Given back after them, it comes after them:
    what was returned comes first, in the order of its return. A partition has a prefetch of 1, so
    there is one such delivery.

    Args:
        deliver: takes all others.
        wait: seconds to wait for what the consumer before it gives back.
    """

    def __init__(self, deliver: Callable[[Delivery], None], wait: float = HAND_OVER_WAIT) -> None:
        self._deliver = deliver
        self._wait = wait
        self._held: Delivery | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._settled = False

    def __call__(self, delivery: Delivery) -> None:
        """Take a delivery."""
        if self._settled:
            self._deliver(delivery)
            return
        self._settled, self._held = True, delivery
        self._timer = asyncio.get_running_loop().call_later(self._wait, self.end)

    def end(self) -> None:
        """Give it back."""
        held, self._held = self._held, None
        if self._timer is not None:
            self._timer.cancel()
        if held is not None and held.channel.is_open:
            held.channel.nack(held)
