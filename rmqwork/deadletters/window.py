"""All messages of one queue, held for a moment: the way in which dead letters are read.

All, also when only a few are wanted: a quorum queue puts what is handed back behind what was handed
back before, so a part of it would come back in another place (measured on 3.10, 4.0 and 4.3).
RabbitMQ 4.3 does not count such a hand-back (nack). Older ones count every way of it, against a
limit of a million; there the channel is closed, for 3.10 shuffles more than 32 nacks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from rmqwork.deadletters.places import uncounted
from rmqwork.transport.port import ChannelClosed, ConsumeChannel, Link
from rmqwork.types import Delivery, Headers

_AT_ONCE: Final = 65535
"""Unsettled deliveries of one consumer: ``basic.qos`` has 16 bits for them (AMQP 0-9-1)."""
_STALL: Final = 0.5
_PATIENCE: Final = 10
_HAND_BACK_AT_ONCE: Final = 5000
_LOOKS: Final = 40
_LOOK_EVERY: Final = 0.05
_NO_HEADERS: Final[Headers] = {}

Arrived = Callable[[Delivery], None]


class Window:
    """All messages of one queue, held for a moment. Memory: 250 bytes a message.

    Args:
        link: the connection.
        name: the queue.
        arrived: shown each delivery, in the order of the queue, while it still has its body. What
            it raises ends the taking, and is raised by `take`.
    """

    def __init__(self, link: Link, name: str, arrived: Arrived) -> None:
        self._link = link
        self._name = name
        self._arrived = arrived
        self._changed = asyncio.Event()
        self._problem: Exception | None = None
        self._consumers: list[tuple[ConsumeChannel, str]] = []
        self._settled: set[int] = set()
        self._held: list[Delivery] = []
        self.taken = 0
        """How many messages have come."""

    async def take(self, messages: int) -> None:
        """Take so many messages; fewer when another reader has them. Then stop consuming.

        Raises:
            ChannelClosed: the channel or the connection ended.
        """
        while self._problem is None and self.taken < messages:
            target = min(messages, self.taken + _AT_ONCE)
            await self._consume(target - self.taken)
            if not await self._filled(target):
                break
        if self._problem is None:
            # Else what comes back would be delivered to our own consumers again.
            for channel, tag in self._consumers:
                await channel.cancel(tag)
        if self._problem is not None:
            raise self._problem

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        """Remove these from the queue; returns when the broker has done it.

        Raises:
            ChannelClosed: it may have done it, or not.
        """
        channels: list[ConsumeChannel] = []
        for delivery in deliveries:
            channel: ConsumeChannel = delivery.channel  # type: ignore[assignment]
            if not channel.is_open:
                raise self._problem or ChannelClosed(0, "the channel has ended")
            channel.ack(delivery)
            self._settled.add(id(delivery))
            if channel not in channels:
                channels.append(channel)
        for channel in channels:
            await channel.synced()

    async def release(self, kept: Sequence[Delivery]) -> None:
        """Hand back all but these, where the broker does not count that; else nothing yet."""
        if uncounted(self._link.server):
            mine = set(map(id, kept))
            others = [delivery for delivery in self._held if id(delivery) not in mine]
            await self._nack([one for one in others if id(one) not in self._settled])
            self._held = list(kept)

    async def close(self) -> None:
        """Hand back what is left, in order; no error when the connection is lost (that does it)."""
        with contextlib.suppress(ChannelClosed):
            await self._hand_back()

    # ── in ────────────────────────────────────────────────────────────────────────────────────

    async def _consume(self, prefetch: int) -> None:
        channel = await self._link.open_consuming(self._closed)
        tag = await channel.consume(
            self._name, prefetch=prefetch, deliver=self._deliver, cancelled=self._closed
        )
        self._consumers.append((channel, tag))

    def _deliver(self, delivery: Delivery) -> None:
        self._held.append(delivery)
        self.taken += 1
        try:
            if self._problem is None:
                self._arrived(delivery)
        except Exception as error:
            self._problem = error
        finally:
            _forget(delivery)
            self._changed.set()

    def _closed(self, reason: str) -> None:
        self._problem = self._problem or ChannelClosed(0, reason)
        self._changed.set()

    async def _filled(self, target: int) -> bool:
        """Wait until so many have come; false when no more come: another reader has them."""
        idle = 0
        while self.taken < target:
            if self._problem is not None or idle == _PATIENCE:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), _STALL)
                idle = 0
            except TimeoutError:
                idle += 1
                depth = await self._link.depth(self._name)
                if depth is None or not depth.messages:
                    return False
        return True

    # ── back ──────────────────────────────────────────────────────────────────────────────────

    async def _hand_back(self) -> None:
        """Give all back, one consumer's after the other's, each when the last is in its place."""
        for channel, tag in self._consumers:
            await channel.cancel(tag)
        left = [delivery for delivery in self._held if id(delivery) not in self._settled]
        if uncounted(self._link.server):
            await self._nack(left)
        else:
            back = 0
            for channel, _ in self._consumers:
                back += sum(delivery.channel is channel for delivery in left)
                await channel.close()
                await self._visible(back)
        for channel, _ in self._consumers:
            await channel.close()

    async def _nack(self, deliveries: Sequence[Delivery]) -> None:
        back = 0
        for channel, _ in self._consumers:
            mine = [delivery for delivery in deliveries if delivery.channel is channel]
            back += len(mine)
            for start in range(0, len(mine), _HAND_BACK_AT_ONCE):
                for delivery in mine[start : start + _HAND_BACK_AT_ONCE]:
                    channel.nack(delivery)
                await channel.synced()
            if mine:
                await self._visible(back)

    async def _visible(self, count: int) -> None:
        """Wait until the queue shows so many: a quorum queue writes to its log first."""
        for _ in range(_LOOKS):
            depth = await self._link.depth(self._name)
            if depth is None or depth.messages >= count:
                return
            await asyncio.sleep(_LOOK_EVERY)


def _forget(delivery: Delivery) -> None:
    """Let go of what is not needed to settle a message."""
    delivery.body, delivery.headers = b"", _NO_HEADERS
    delivery.message_id = delivery.type = delivery.correlation_id = None
    delivery.exchange = delivery.routing_key = ""
