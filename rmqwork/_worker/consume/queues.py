"""The state of each queue, or partition of one, that is consumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rmqwork._transport.port import ConsumeChannel
from rmqwork.types import Delivery

SETTLING: Final = 0.25
"""Seconds for which a new consumer of a partition waits for what the one before it gives back."""


@dataclass(slots=True, eq=False)
class QueueConsumer:
    """Something that is consumed, and how that stands."""

    queue: str
    sources: tuple[str, ...]
    prefetch: int
    timeout: float | None = None
    partition: str | None = None
    channel: ConsumeChannel | None = None
    tags: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    paused: set[str] = field(default_factory=set)
    stale: bool = True
    """Whether its consumers are other than they should be, apart from that of suspects."""
    at_once: int = 1
    """The prefetch that suspects should have; 0: none is wanted."""
    suspects: tuple[str, int] | None = None
    """The tag and the prefetch of the consumer of suspects."""
    at_rest: bool = False
    """Without consumers because it is paused, or was until just now."""
    first: FirstDeliveryRequeue | None = None

    @property
    def name(self) -> str:
        """Of the partition, or of the queue."""
        return self.partition or self.queue

    def change(self) -> None:
        """Its consumers are to be others."""
        self.stale = True
        self.changed.set()

    def end_tags(self) -> list[str]:
        """All its consumers; it has none after this."""
        tags = [*self.tags, *([self.suspects[0]] if self.suspects else [])]
        self.tags, self.suspects = [], None
        return tags

    def receiver(self, deliver: Callable[[str, Delivery], None]) -> Callable[[Delivery], None]:
        """Who takes the deliveries of a new consumer."""
        queue = self.queue

        def receive(delivery: Delivery) -> None:
            deliver(queue, delivery)

        if self.partition is None:
            return receive
        self.dismiss()
        self.first = FirstDeliveryRequeue(receive, SETTLING)
        return self.first

    def dismiss(self) -> None:
        """Its consumer has ended."""
        if self.first is not None:
            self.first.end()
            self.first = None


class FirstDeliveryRequeue:
    """Gives the first delivery of a partition's new consumer back, a little later.

    When a consumer ends, the broker makes the next one active before it has back what the old one
    held: its first delivery may be a later message than those (measured on 4.3.6 and 3.10.8, with
    a cancel, a closed channel and a lost connection). Given back after them, it comes after them:
    what was returned comes first, in the order of its return. A partition has a prefetch of 1, so
    there is one such delivery.

    Args:
        deliver: takes all others.
        settling: seconds to wait for what the consumer before it gives back.
    """

    def __init__(self, deliver: Callable[[Delivery], None], settling: float = SETTLING) -> None:
        self._deliver = deliver
        self._settling = settling
        self._held: Delivery | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._settled = False

    def __call__(self, delivery: Delivery) -> None:
        """Take a delivery."""
        if self._settled:
            self._deliver(delivery)
            return
        self._settled, self._held = True, delivery
        self._timer = asyncio.get_running_loop().call_later(self._settling, self.end)

    def end(self) -> None:
        """Give it back."""
        held, self._held = self._held, None
        if self._timer is not None:
            self._timer.cancel()
        if held is not None and held.channel.is_open:
            held.channel.nack(held)
