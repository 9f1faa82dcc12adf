"""One open AMQP connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pika import exceptions
from pika.connection import Parameters

from rmqwork._topology.differences import Difference
from rmqwork._topology.topology import Declaration
from rmqwork._transport.amqp.consuming import AmqpConsumeChannel
from rmqwork._transport.amqp.declaring import declare, missing, verified
from rmqwork._transport.amqp.pika_internals import Connection, IOServices
from rmqwork._transport.amqp.publishing import AmqpPublishChannel
from rmqwork._transport.amqp.rpc import Rpc
from rmqwork._transport.port import ChannelClosed, QueueDepth
from rmqwork.errors import ConfigurationError
from rmqwork.types import Server

OLDEST = (3, 10)
"""The oldest RabbitMQ with at-least-once dead-lettering."""
_GIVE_UP_TIMEOUT = 1.0
_RESOLVING = 0.25
HIDES = (4,)
"""From here on a broker may hide what a user has no right to (4.3.6 does, 3.10.8 does not)."""


class AmqpLink:
    """One open connection; see `rmqwork._transport.port.Link`."""

    server: Server

    def __init__(self) -> None:
        self._connection: Connection
        self._blocked = False
        self._lost: list[Callable[[str], None]] = []
        self._on_block: list[Callable[[bool], None]] = []
        self._ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._closing = False
        self._declares = True

    @classmethod
    async def open(cls, parameters: Parameters, declares: bool = True) -> AmqpLink:
        """Connect; raises pika's errors as they are.

        Args:
            parameters: pika's.
            declares: whether `declare` makes what is missing; else it only sees that it is there.
        """
        self = cls()
        self._declares = declares
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_open(_connection: Any) -> None:
            if not opened.done():
                opened.set_result(None)

        def on_error(_connection: Any, error: Exception) -> None:
            if not opened.done():
                opened.set_exception(error)

        self._connection = Connection(
            parameters,
            on_open_callback=on_open,
            on_open_error_callback=on_error,
            on_close_callback=self._on_closed,
            custom_ioloop=IOServices(asyncio.get_running_loop()),
        )
        try:
            await asyncio.shield(opened)
        except asyncio.CancelledError:
            await self._give_up(opened)
            raise
        self._connection.add_on_connection_blocked_callback(lambda *_: self._set_blocked(True))
        self._connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(False))
        self.server = _server(self._connection.server_properties or {})
        await self._check_version()
        return self

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return bool(self._connection.is_open)

    @property
    def connection(self) -> Connection:
        """pika's, for what the port has no word for."""
        return self._connection

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

    async def declare(self, plan: Sequence[Declaration]) -> list[Difference]:
        """Make what a plan says; see the port."""
        if not self._declares:
            plan = await verified(self._connection, plan, self.server.version >= HIDES)
        return await declare(self._connection, plan)

    async def missing(self, plan: Sequence[Declaration]) -> list[Declaration]:
        """Which exchanges and queues of a plan do not exist."""
        return await missing(self._connection, plan)

    async def open_publishing(self) -> AmqpPublishChannel:
        """Open a channel in confirm mode."""
        return await AmqpPublishChannel.open(self._connection)

    async def open_consuming(self, closed: Callable[[str], None]) -> AmqpConsumeChannel:
        """Open a channel to consume."""
        return await AmqpConsumeChannel.open(self._connection, closed)

    async def depth(self, queue: str) -> QueueDepth | None:
        """How many messages wait in a queue; None when there is no such queue."""
        rpc = await Rpc.open(self._connection, lambda _: None)
        try:
            reply = await rpc.call(rpc.channel.queue_declare, queue, passive=True)
        except ChannelClosed as closed:
            if closed.code == 404:
                return None
            raise
        finally:
            await rpc.close()
        return QueueDepth(int(reply.method.message_count), int(reply.method.consumer_count))

    async def purge(self, queue: str) -> int:
        """Remove all ready messages of a queue."""
        rpc = await Rpc.open(self._connection, lambda _: None)
        reply = await rpc.call(rpc.channel.queue_purge, queue)
        await rpc.close()
        return int(reply.method.message_count)

    async def delete_queue(self, queue: str) -> None:
        """Delete a queue with what it holds."""
        rpc = await Rpc.open(self._connection, lambda _: None)
        await rpc.call(rpc.channel.queue_delete, queue)
        await rpc.close()

    async def close(self) -> None:
        """Close the connection; gives up waiting for the broker's answer after 2 s."""
        await asyncio.sleep(0)  # settlements of this loop turn leave at its end
        self._closing = True
        if self._ended.done():
            return
        try:
            self._connection.close()
            await asyncio.wait_for(asyncio.shield(self._ended), 2)
        except (exceptions.AMQPError, TimeoutError):
            self._connection.abort()

    def release(self) -> None:
        """In a forked child: close our copy of the descriptor, and nothing else."""
        self._connection.close_descriptor()

    async def _give_up(self, opened: asyncio.Future[None]) -> None:
        """Give up a connection that is being opened; its socket is closed after this."""
        self._closing = True
        connection, loop = self._connection, asyncio.get_running_loop()
        # While a name is being resolved pika's abort comes too early: it connects all the same.
        until = loop.time() + _RESOLVING
        while connection.is_resolving and not opened.done() and loop.time() < until:
            await asyncio.sleep(0.001)
        connection.abort()
        await asyncio.wait((opened,), timeout=_GIVE_UP_TIMEOUT)
        if opened.done():
            opened.exception()  # nobody else wants to know

    def _on_closed(self, _connection: Any, reason: Exception) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
        if self._closing:
            return
        for callback in self._lost:
            callback(str(reason) or type(reason).__name__)

    def _set_blocked(self, blocked: bool) -> None:
        self._blocked = blocked
        for callback in self._on_block:
            callback(blocked)

    async def _check_version(self) -> None:
        if self.server.product == "RabbitMQ" and self.server.version < OLDEST:
            await self.close()
            raise ConfigurationError(
                f"{self.server} is too old: rmqwork needs RabbitMQ 3.10 or newer "
                "(at-least-once dead-lettering); upgrade the broker"
            )


def _server(properties: dict[str, Any]) -> Server:
    text = str(properties.get("version", "0"))
    numbers = []
    for part in text.replace("-", ".").replace("+", ".").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return Server(str(properties.get("product", "unknown")), tuple(numbers))
