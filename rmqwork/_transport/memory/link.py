"""A connection to a broker in memory, in one event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from rmqwork._topology.differences import Difference
from rmqwork._topology.topology import Declaration
from rmqwork._transport.memory import declaring
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connection import Channel
from rmqwork._transport.memory.consuming import MemoryConsumeChannel
from rmqwork._transport.memory.faults import Faults
from rmqwork._transport.memory.permissions import Rights
from rmqwork._transport.memory.publishing import MemoryPublishChannel
from rmqwork._transport.port import ChannelClosed, QueueDepth
from rmqwork.types import Server

_log = logging.getLogger("rmqwork.transport")
SERVER: Final = Server("rmqwork in memory, like RabbitMQ", (4, 3))
_CLOSED: Final = "the connection is closed"


class MemoryLink:
    """See `rmqwork._transport.port.Link`.

    What the broker has to say to a connection comes in its loop, in order, never inside a call.

    Args:
        broker: the other end.
        name: of the connection, for people.
        rights: of its user.
        faults: that are ordered for it.
    """

    server = SERVER

    def __init__(self, broker: MemoryBroker, name: str, rights: Rights, faults: Faults) -> None:
        self.broker = broker
        self.name = name
        self.rights = rights
        self.faults = faults
        self.reason: str | None = None
        """Why it has ended; None while it stands."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._outbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._armed = False
        self._lost: list[Callable[[str], None]] = []
        self._on_block: list[Callable[[bool], None]] = []
        self._blocked = broker.blocks_publishers
        self._channels: list[Channel] = []
        with broker.at_work():
            broker.links.add(self)

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return self.reason is None

    @property
    def blocked(self) -> bool:
        """Whether the broker holds publishers back."""
        return self._blocked

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Register what is called when the connection ends unasked."""
        self._lost.append(callback)

    def on_blocked(self, callback: Callable[[bool], None]) -> None:
        """Register what is called when the broker blocks or unblocks publishers."""
        self._on_block.append(callback)

    # ── the broker's words, in the link's loop ────────────────────────────────────────────────

    def post(self, call: Callable[..., object], *arguments: object) -> None:
        """Have something called in the loop, after all that was posted before.

        The broker's lock is held.
        """
        self._outbox.append((call, arguments))
        if self._armed:
            return
        self._armed = True
        try:
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self._drain)
            else:
                self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop was closed, and nobody has closed the connection
            self._armed = False
            self._outbox.clear()
            self._end("its event loop is closed")

    def _drain(self) -> None:
        self._armed = False
        outbox, self._outbox = self._outbox, deque()
        for call, arguments in outbox:
            try:
                call(*arguments)
            except Exception:
                _log.exception("a callback of connection %r failed", self.name)
        with self.broker.at_work():
            pass  # whoever waits for the broker to be idle looks again

    @property
    def idle(self) -> bool:
        """Whether all that the broker had to say has been heard."""
        return not self._armed and not self._outbox

    async def turn(self) -> None:
        """Returns when all that was posted so far has been heard.

        Raises:
            ChannelClosed: the connection has ended.
        """
        heard: asyncio.Future[None] = self._loop.create_future()
        with self.broker.at_work():
            self.post(lambda: heard.done() or heard.set_result(None))  # type: ignore[func-returns-value]
        await heard
        if self.reason is not None:
            raise ChannelClosed(0, self.reason)

    # ── verbs ─────────────────────────────────────────────────────────────────────────────────

    def operate(self) -> None:
        """Count an operation; the connection may be ordered to drop at it.

        Raises:
            ChannelClosed: it has ended.
        """
        if self.reason is None and self.faults.drops():
            with self.broker.at_work():
                self.drop("the connection was dropped by a fault of the test's")
        if self.reason is not None:
            raise ChannelClosed(0, self.reason)

    async def declare(self, plan: Sequence[Declaration]) -> list[Difference]:
        """Make what a plan says; see the port."""
        self.operate()
        found = declaring.declare(self.broker, self.rights, plan)
        await self.turn()
        return found

    async def missing(self, plan: Sequence[Declaration]) -> list[Declaration]:
        """Which exchanges and queues of a plan do not exist; see the port."""
        self.operate()
        absent = declaring.missing(self.broker, plan)
        await self.turn()
        return absent

    async def open_publishing(self) -> MemoryPublishChannel:
        """Open a channel in confirm mode."""
        self.operate()
        channel = MemoryPublishChannel(self)
        self._channels.append(channel)
        await self.turn()
        return channel

    async def open_consuming(self, closed: Callable[[str], None]) -> MemoryConsumeChannel:
        """Open a channel to consume."""
        self.operate()
        channel = MemoryConsumeChannel(self, closed)
        self._channels.append(channel)
        await self.turn()
        return channel

    async def depth(self, queue: str) -> QueueDepth | None:
        """How many messages wait in a queue; None when there is no such queue."""
        self.operate()
        await self.turn()
        with self.broker.at_work():
            found = self.broker.queues.get(queue)
            return None if found is None else QueueDepth(len(found), len(found.consumers))

    async def purge(self, queue: str) -> int:
        """Remove all ready messages of a queue."""
        self.operate()
        self.rights.check(self.rights.read, "queue", queue)
        with self.broker.at_work():
            count = self.broker.find(queue).purge()
        await self.turn()
        return count

    async def delete_queue(self, queue: str) -> None:
        """Delete a queue with what it holds."""
        self.operate()
        self.rights.check(self.rights.configure, "queue", queue)
        self.broker.delete_queue(queue)
        await self.turn()

    # ── its end ───────────────────────────────────────────────────────────────────────────────

    async def close(self) -> None:
        """Close the connection."""
        heard: asyncio.Future[None] = self._loop.create_future()
        with self.broker.at_work():
            self._end(_CLOSED)
            self.post(lambda: heard.done() or heard.set_result(None))  # type: ignore[func-returns-value]
        await heard

    def release(self) -> None:
        """In a forked child: the parent's broker is not here."""

    def drop(self, reason: str) -> None:
        """End it unasked."""
        if self.reason is None:
            self._end(reason)
            self.post(self._tell_lost, reason)

    def _end(self, reason: str) -> None:
        if self.reason is not None:
            return
        self.reason = reason
        self.broker.links.discard(self)
        channels, self._channels = self._channels, []
        for channel in channels:
            channel.end(ChannelClosed(0, reason), asked=reason == _CLOSED)

    def forget(self, channel: Channel) -> None:
        """A channel has ended."""
        if channel in self._channels:
            self._channels.remove(channel)

    def _tell_lost(self, reason: str) -> None:
        for callback in self._lost:
            callback(reason)

    def tell_blocked(self, blocked: bool) -> None:
        """The broker blocks or unblocks publishers."""

        def tell() -> None:
            self._blocked = blocked
            for callback in self._on_block:
                callback(blocked)

        self.post(tell)
