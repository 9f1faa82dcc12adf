"""Await pika's callbacks, and end every wait when the channel ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pika import exceptions

from rmqwork._transport.amqp.pika_internals import Channel, Connection
from rmqwork._transport.port import ChannelClosed

_ASKED_FOR = 200
"""The reply code with which pika ends channels when their connection is closed by us."""


def closed_of(reason: Exception) -> ChannelClosed:
    """Why a channel closed, from what pika gives."""
    if isinstance(reason, (exceptions.ChannelClosed, exceptions.ConnectionClosed)):
        return ChannelClosed(reason.reply_code, reason.reply_text)
    return ChannelClosed(0, str(reason) or type(reason).__name__)


class Rpc:
    """Calls on one channel, each awaited; all fail with `ChannelClosed` when it closes.

    Args:
        channel: an open channel.
        closed: called once when the channel closes and `close` was not called.
    """

    def __init__(self, channel: Channel, closed: Callable[[ChannelClosed], None]) -> None:
        self.channel = channel
        self._closed = closed
        self._closing = False
        self._waiting: set[asyncio.Future[Any]] = set()
        self.reason: ChannelClosed | None = None
        channel.add_on_close_callback(self._on_close)

    @classmethod
    async def open(cls, connection: Connection, closed: Callable[[ChannelClosed], None]) -> Rpc:
        """Open a channel on a connection."""
        opened: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        try:
            channel = connection.channel(
                on_open_callback=lambda ch: opened.done() or opened.set_result(ch)  # type: ignore[func-returns-value]
            )
        except exceptions.AMQPError as error:
            raise closed_of(error) from error

        def ended(_channel: Channel, reason: Exception) -> None:
            if not opened.done():
                opened.set_exception(closed_of(reason))

        channel.add_on_close_callback(ended)
        return cls(await opened, closed)

    @property
    def is_open(self) -> bool:
        """Whether the channel can be used."""
        return self.reason is None and self.channel.is_open

    async def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call one of pika's methods that takes a ``callback`` and wait for its reply."""
        if self.reason is not None:
            raise self.reason
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def arrived(*got: Any) -> None:
            if not reply.done():
                reply.set_result(got[0] if len(got) == 1 else got)

        self._waiting.add(reply)
        try:
            method(*args, callback=arrived, **kwargs)
            return await reply
        except (exceptions.AMQPError, exceptions.ChannelWrongStateError) as error:
            raise closed_of(error) from error
        finally:
            self._waiting.discard(reply)

    async def close(self) -> None:
        """Close the channel and wait until it is closed."""
        self._closing = True
        if self.reason is not None:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(done)
        try:
            self.channel.close()
            await done
        except (exceptions.AMQPError, ChannelClosed):
            pass
        finally:
            self._waiting.discard(done)

    def _on_close(self, _channel: Channel, reason: Exception) -> None:
        self.reason = closed_of(reason)
        for waiting in tuple(self._waiting):
            if not waiting.done():
                waiting.set_exception(self.reason)
        if not self._closing and self.reason.code != _ASKED_FOR:
            self._closed(self.reason)
