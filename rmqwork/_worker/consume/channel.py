"""`QueueChannel`: the channel of one queue, as the strategies of its consumers use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rmqwork._transport.port import ConsumeChannel
from rmqwork.types import Delivery


@dataclass(frozen=True, slots=True)
class QueueChannel:
    """Starts and cancels consumers on a queue's channel.

    Args:
        channel: the broker's.
        deliver: takes the deliveries.
        cancelled: called with a reason when the broker ends a consumer.
        arguments: of each consumer.
    """

    channel: ConsumeChannel
    deliver: Callable[[Delivery], None]
    cancelled: Callable[[str], None]
    arguments: Mapping[str, object]

    async def start(
        self, source: str, prefetch: int, deliver: Callable[[Delivery], None] | None = None
    ) -> str:
        """Start a consumer; returns its tag.

        Args:
            source: the broker's queue.
            prefetch: unsettled deliveries at most.
            deliver: takes its deliveries instead of `deliver`.
        """
        return await self.channel.consume(
            source,
            prefetch=prefetch,
            deliver=deliver or self.deliver,
            cancelled=self.cancelled,
            arguments=self.arguments,
        )

    async def cancel(self, tag: str) -> None:
        """End a consumer; deliveries may still come until this returns."""
        await self.channel.cancel(tag)
