"""All messages of one queue, held for a moment: the way in which dead letters are read.

All, also when only a few are wanted: a quorum queue puts what is handed back behind what was handed
back before, so a part of it would come back in another place (measured on 3.10, 4.0 and 4.3).
RabbitMQ 4.3 does not count such a hand-back (nack), and keeps the order when one nack hands back
thousands (measured with 50,000). Older ones count every way of it, against a limit of a million;
there the channel is closed, for 3.10 shuffles more than 32 nacks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from rmqwork._admin.deadletters.queue_names import uncounted
from rmqwork._transport.port import ChannelClosed, ConsumeChannel, Link
from rmqwork.types import Delivery, Headers

_MAX_UNSETTLED: Final = 65535
"""Unsettled deliveries of one consumer: ``basic.qos`` has 16 bits for them (AMQP 0-9-1)."""
_STALL: Final = 0.5
_MAX_STALLS: Final = 10
_HAND_BACK_BATCH: Final = 5000
_MAX_POLLS: Final = 40
_POLL_INTERVAL: Final = 0.05
_NO_HEADERS: Final[Headers] = {}

Arrived = Callable[[Delivery], None]


@dataclass(slots=True)
class _Taken:
    """What one channel has taken: the tags from 1 to ``last``, and which of them it still holds.

    Tags, and no deliveries: a million messages cost nothing as long as none is settled alone.
    """

    channel: ConsumeChannel
    tag: str = ""
    last: int = 0
    settled: set[int] = field(default_factory=set)
    kept: list[int] | None = None
    """After `QueueSnapshot.release`: no others are held. None = all."""

    def held(self) -> Sequence[int]:
        """The tags that are held, ascending."""
        tags = range(1, self.last + 1) if self.kept is None else self.kept
        return [tag for tag in tags if tag not in self.settled] if self.settled else tags


class QueueSnapshot:
    """All messages of one queue, held for a moment. Memory: of the order of what is settled.

    Args:
        link: the connection.
        name: the queue.
        arrived: shown each delivery, in the order of the queue. What it raises ends the taking, and
            is raised by `take`. What it keeps of them, to `settle` it, is to be `without_body`.
    """

    def __init__(self, link: Link, name: str, arrived: Arrived) -> None:
        self._link = link
        self._name = name
        self._arrived = arrived
        self._changed = asyncio.Event()
        self._problem: Exception | None = None
        self._taken: list[_Taken] = []
        self.taken = 0
        """How many messages have come."""

    async def take(self, messages: int) -> None:
        """Take so many messages; fewer when another reader has them. Then stop consuming.

        Raises:
            ChannelClosed: the channel or the connection ended.
        """
        while self._problem is None and self.taken < messages:
            target = min(messages, self.taken + _MAX_UNSETTLED)
            await self._consume(target - self.taken)
            if not await self._filled(target):
                break
        if self._problem is None:
            # Else what comes back would be delivered to our own consumers again.
            for one in self._taken:
                await one.channel.cancel(one.tag)
        if self._problem is not None:
            raise self._problem

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        """Remove these from the queue; returns when the broker has done it.

        Raises:
            ChannelClosed: it may have done it, or not.
        """
        for one in self._taken:
            mine = [delivery for delivery in deliveries if delivery.channel is one.channel]
            if mine and not one.channel.is_open:
                raise self._problem or ChannelClosed(0, "the channel has ended")
            for delivery in mine:
                one.channel.ack(delivery)
                one.settled.add(delivery.tag)
        for one in self._taken:
            if any(delivery.channel is one.channel for delivery in deliveries):
                await one.channel.synced()

    async def release(self, kept: Sequence[Delivery]) -> None:
        """Hand back all but these, where the broker does not count that; else nothing yet."""
        if not uncounted(self._link.server):
            return
        back = 0
        for one in self._taken:
            mine = {delivery.tag for delivery in kept if delivery.channel is one.channel}
            others = [tag for tag in one.held() if tag not in mine] if mine else one.held()
            back += await self._nack(one.channel, others, back)
            one.kept = sorted(mine)

    async def close(self) -> None:
        """Hand back what is left, in order; no error when the connection is lost (that does it)."""
        with contextlib.suppress(ChannelClosed):
            await self._hand_back()

    # ── in ────────────────────────────────────────────────────────────────────────────────────

    async def _consume(self, prefetch: int) -> None:
        one = _Taken(await self._link.open_consuming(self._closed))
        self._taken.append(one)

        def deliver(delivery: Delivery) -> None:
            one.last = delivery.tag
            self.taken += 1
            try:
                if self._problem is None:
                    self._arrived(delivery)
            except Exception as error:
                self._problem = error
            finally:
                self._changed.set()

        one.tag = await one.channel.consume(
            self._name, prefetch=prefetch, deliver=deliver, cancelled=self._closed
        )

    def _closed(self, reason: str) -> None:
        self._problem = self._problem or ChannelClosed(0, reason)
        self._changed.set()

    async def _filled(self, target: int) -> bool:
        """Wait until so many have come; false when no more come: another reader has them."""
        idle = 0
        while self.taken < target:
            if self._problem is not None or idle == _MAX_STALLS:
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
        for one in self._taken:
            await one.channel.cancel(one.tag)
        back = 0
        for one in self._taken:
            if uncounted(self._link.server):
                back += await self._nack(one.channel, one.held(), back)
            else:
                back += len(one.held())
                await one.channel.close()
                await self._visible(back)
        for one in self._taken:
            await one.channel.close()

    async def _nack(self, channel: ConsumeChannel, tags: Sequence[int], back: int) -> int:
        """Hand these back, after so many; returns how many they are."""
        for start in range(0, len(tags), _HAND_BACK_BATCH):
            channel.nack_all(tags[start : start + _HAND_BACK_BATCH])
            await channel.synced()
        if tags:
            await self._visible(back + len(tags))
        return len(tags)

    async def _visible(self, count: int) -> None:
        """Wait until the queue shows so many: a quorum queue writes to its log first."""
        for _ in range(_MAX_POLLS):
            depth = await self._link.depth(self._name)
            if depth is None or depth.messages >= count:
                return
            await asyncio.sleep(_POLL_INTERVAL)


def without_body(delivery: Delivery) -> Delivery:
    """A delivery without what is not needed to settle it: 250 bytes."""
    delivery.body, delivery.headers = b"", _NO_HEADERS
    delivery.message_id = delivery.type = delivery.correlation_id = None
    delivery.exchange = delivery.routing_key = ""
    return delivery
