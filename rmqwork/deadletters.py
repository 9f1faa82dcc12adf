"""Dead letters: messages that ended in a dead-letter queue, with the reason.

    from rmqwork import deadletters
    for letter in deadletters.read(connector, ["high_priority"], limit=10):
        print(letter.task, letter.reason, letter.error_message)

Reading removes nothing and changes no order: all messages of the queue are taken, the consumer is
cancelled, and they are handed back in the order in which they came. For that moment (a few seconds
for 100,000) another reader of the same queue does not see them. RabbitMQ 4.3 does not count such a
hand-back (nack). Older ones count every way of it, against a limit of a million; there the channel
is closed, for 3.10 shuffles more than 32 nacks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rmqwork.deadletter import DeadLetter, dead_letter
from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.topology import UNROUTABLE, dead_letter_queue
from rmqwork.transport.port import ChannelClosed, Connector, ConsumeChannel, Link
from rmqwork.types import Delivery

__all__ = ["DeadLetter", "Reading", "Visit", "aread", "ascan", "read", "scan"]

_WINDOW: Final = 65535
"""Unsettled deliveries of one consumer: ``basic.qos`` has 16 bits for them (AMQP 0-9-1)."""
_STALL: Final = 0.5
_PATIENCE: Final = 10
_HAND_BACK_AT_ONCE: Final = 5000
_LOOKS: Final = 40
_LOOK_EVERY: Final = 0.05
_UNCOUNTED_NACK: Final = (4, 3)
_ACCESS_REFUSED: Final = 403
_NO_HEADERS: Final[Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look into one dead-letter queue came to.

    Args:
        dead_letter_queue: its name.
        exists: whether there is such a queue.
        waiting: ready messages when the reading began.
        read: how many of them were seen; fewer when ``limit`` is lower, or others read them too.
    """

    dead_letter_queue: str
    exists: bool
    waiting: int
    read: int


Visit = Callable[[DeadLetter], None]


def read(connector: Connector, queues: Sequence[str], limit: int | None = None) -> list[DeadLetter]:
    """The dead letters of some queues, in the order of their queues; removes nothing.

    All are in memory at once; for many, see `scan`.

    Args:
        connector: of the broker.
        queues: names of the queues whose dead letters are wanted (``orders``, not
            ``orders.dlq``), or ``rmqwork.unroutable``.
        limit: at most so many of each queue; None = all.

    Raises:
        BrokerUnavailable: no connection, or it was lost meanwhile.
        ConfigurationError: a queue cannot be read.
    """
    return asyncio.run(aread(connector, queues, limit))


async def aread(
    connector: Connector, queues: Sequence[str], limit: int | None = None
) -> list[DeadLetter]:
    """`read`, for asyncio."""
    letters: list[DeadLetter] = []
    await ascan(connector, queues, letters.append, limit)
    return letters


def scan(
    connector: Connector, queues: Sequence[str], visit: Visit, limit: int | None = None
) -> list[Reading]:
    """Show each dead letter to ``visit``, one by one, in bounded memory (200 bytes a message).

    Args:
        connector: of the broker.
        queues: as in `read`.
        visit: called with each; what it raises ends the reading, and is raised here.
        limit: at most so many of each queue; None = all.

    Returns:
        what each queue's reading came to.

    Raises:
        BrokerUnavailable: no connection, or it was lost meanwhile.
        ConfigurationError: a queue cannot be read.
    """
    return asyncio.run(ascan(connector, queues, visit, limit))


async def ascan(
    connector: Connector, queues: Sequence[str], visit: Visit, limit: int | None = None
) -> list[Reading]:
    """`scan`, for asyncio."""
    link = await connector.open("rmqwork dlq")
    try:
        return [await _scan(link, queue, visit, limit) for queue in queues]
    finally:
        await link.close()


async def _scan(link: Link, queue: str, visit: Visit, limit: int | None) -> Reading:
    name = UNROUTABLE if queue == UNROUTABLE else dead_letter_queue(queue)
    try:
        depth = await link.depth(name)
        if depth is None:
            return Reading(name, False, 0, 0)
        wanted = depth.messages if limit is None else min(limit, depth.messages)
        if wanted <= 0:
            return Reading(name, True, depth.messages, 0)
        window = _Window(link, queue, name, visit, wanted)
        await window.look(depth.messages)
    except ChannelClosed as closed:
        if closed.code == _ACCESS_REFUSED:
            raise ConfigurationError(
                f"queue {name!r} cannot be read: {closed.text}; give this user the read right"
            ) from closed
        raise BrokerUnavailable(
            f"the connection was lost while reading {name!r}: {closed}; nothing was removed, "
            "run it again"
        ) from closed
    return Reading(name, True, depth.messages, min(wanted, len(window.held)))


class _Window:
    """All messages of one queue, held for a moment.

    All, also when only the first few are wanted: a quorum queue puts what is handed back behind
    what was handed back before, so a part of it would come back in another place (measured on 3.10,
    4.0 and 4.3).
    """

    def __init__(self, link: Link, queue: str, name: str, visit: Visit, wanted: int) -> None:
        self._link = link
        self._queue = queue
        self._name = name
        self._visit = visit
        self._wanted = wanted
        self._changed = asyncio.Event()
        self._problem: Exception | None = None
        self._consumers: list[tuple[ConsumeChannel, str]] = []
        self.held: list[Delivery] = []

    async def look(self, messages: int) -> None:
        """Take so many messages, show those that are wanted, hand all back."""
        try:
            while self._problem is None and len(self.held) < messages:
                target = min(messages, len(self.held) + _WINDOW)
                await self._consume(target - len(self.held))
                if not await self._filled(target):
                    break
        finally:
            with contextlib.suppress(ChannelClosed):
                await self._hand_back()
        if self._problem is not None:
            raise self._problem

    async def _consume(self, prefetch: int) -> None:
        channel = await self._link.open_consuming(self._closed)
        tag = await channel.consume(
            self._name, prefetch=prefetch, deliver=self._deliver, cancelled=self._closed
        )
        self._consumers.append((channel, tag))

    def _deliver(self, delivery: Delivery) -> None:
        self.held.append(delivery)
        try:
            if self._problem is None and len(self.held) <= self._wanted:
                self._visit(dead_letter(delivery, self._queue))
        except Exception as error:
            self._problem = error
        finally:
            _forget(delivery)
            self._changed.set()

    def _closed(self, reason: str) -> None:
        self._problem = self._problem or ChannelClosed(0, reason)
        self._changed.set()

    async def _filled(self, target: int) -> bool:
        """Wait until so many are held; false when no more come: another reader has them."""
        idle = 0
        while len(self.held) < target:
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

    async def _hand_back(self) -> None:
        """Give all back, one consumer's after the other's, each when the last is in its place.

        Cancel first: what comes back would be delivered to our own consumers again.
        """
        for channel, tag in self._consumers:
            await channel.cancel(tag)
        back = 0
        for channel, _ in self._consumers:
            mine = [delivery for delivery in self.held if delivery.channel is channel]
            back += len(mine)
            if self._link.server.version >= _UNCOUNTED_NACK:
                for start in range(0, len(mine), _HAND_BACK_AT_ONCE):
                    for delivery in mine[start : start + _HAND_BACK_AT_ONCE]:
                        channel.nack(delivery)
                    await channel.synced()
                await self._visible(back)
                await channel.close()
            else:
                await channel.close()
                await self._visible(back)

    async def _visible(self, count: int) -> None:
        """Wait until the queue shows so many: a quorum queue writes to its log first."""
        for _ in range(_LOOKS):
            depth = await self._link.depth(self._name)
            if depth is None or depth.messages >= count:
                return
            await asyncio.sleep(_LOOK_EVERY)


def _forget(delivery: Delivery) -> None:
    """Let go of what is not needed to hand a message back."""
    delivery.body, delivery.headers = b"", _NO_HEADERS
    delivery.message_id = delivery.type = delivery.correlation_id = None
    delivery.exchange = delivery.routing_key = ""
