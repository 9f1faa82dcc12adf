"""A channel in confirm mode."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import time
from typing import Any, Final

from pika import exceptions, spec

from rmqwork import delays
from rmqwork.errors import InvalidMessage
from rmqwork.transport.amqp.connection import (
    Connection,
    body_frames,
    header_frame,
    method_frame,
)
from rmqwork.transport.amqp.rpc import Rpc
from rmqwork.transport.port import ChannelClosed, Settled
from rmqwork.types import Publication, Verdict

_TOO_LARGE: Final = re.compile(r"message size \d+ is larger than configured max size (\d+)")
_NO_EXCHANGE: Final = re.compile(r"no exchange '([^']*)'")
_NO_ACCESS: Final = re.compile(r"access to (?:exchange|topic) '([^']*)'")
_ROUTES_KEPT: Final = 4096


class AmqpPublishChannel:
    """Publishes, mandatory and persistent, and tells what became of each publication."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rpc: Rpc
        self._next = 1
        self._in_flight: dict[int, tuple[Publication, Settled]] = {}
        self._returned: dict[int, str] = {}
        self._methods: dict[tuple[str, str], bytes] = {}

    @classmethod
    async def open(cls, connection: Connection) -> AmqpPublishChannel:
        """Open a channel and put it in confirm mode."""
        self = cls(connection)
        self._rpc = await Rpc.open(connection, self._on_closed)
        self._rpc.channel.add_on_return_callback(self._on_return)
        await self._rpc.call(self._rpc.channel.confirm_delivery, self._on_settled)
        return self

    @property
    def is_open(self) -> bool:
        """Whether publications can be given to it."""
        return self._rpc.is_open

    def publish(self, publication: Publication, settled: Settled) -> None:
        """Send a publication; see the port."""
        if not self._rpc.is_open:
            settled(Verdict.LOST, str(self._rpc.reason or "the channel is closed"))
            return
        exchange, routing_key = publication.exchange, publication.routing_key
        headers = publication.headers
        if publication.due is not None:
            wait = publication.due - time()
            if wait > 0:
                exchange, levels = delays.enter(min(wait, delays.MAX_DELAY))
                headers = {**headers, **levels}
        number = self._rpc.channel.channel_number
        frames = [
            self._method(number, exchange, routing_key),
            self._header(number, publication, headers),
        ]
        if publication.body:
            frames += body_frames(number, publication.body, self._connection._body_max_length)
        self._in_flight[self._next] = (publication, settled)
        self._next += 1
        self._connection.send_frames(frames)

    def _method(self, number: int, exchange: str, routing_key: str) -> bytes:
        known = self._methods.get((exchange, routing_key))
        if known is None:
            if len(self._methods) >= _ROUTES_KEPT:
                self._methods.clear()
            method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
            try:
                known = method_frame(number, method)
            except (exceptions.AMQPError, ValueError, AssertionError) as error:
                raise InvalidMessage(
                    f"the route {exchange!r} / {routing_key[:60]!r} cannot be sent: {error}; "
                    "names take at most 255 bytes"
                ) from error
            self._methods[exchange, routing_key] = known
        return known

    def _header(self, number: int, publication: Publication, headers: Any) -> bytes:
        properties = spec.BasicProperties(
            content_type=publication.content_type,
            content_encoding=publication.content_encoding,
            headers=dict(headers) or None,
            delivery_mode=2,
            priority=publication.priority,
            correlation_id=publication.correlation_id,
            reply_to=publication.reply_to,
            message_id=publication.message_id,
            timestamp=publication.timestamp,
            type=publication.type,
            app_id=publication.app_id,
        )
        try:
            frame = header_frame(number, properties, len(publication.body))
        except Exception as error:
            raise InvalidMessage(
                f"the properties of task {publication.type!r} ({publication.message_id}) cannot be "
                f"sent: {error}; headers take text, 64-bit integers and truth values, and names "
                "at most 255 bytes"
            ) from error
        if len(frame) > self._connection.params.frame_max:
            raise InvalidMessage(
                f"the headers of task {publication.type!r} ({publication.message_id}) come to "
                f"{len(frame)} bytes and do not fit one frame of "
                f"{self._connection.params.frame_max}; put large values into the message"
            )
        return frame

    def _on_return(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        text = f"{method.reply_text} ({method.reply_code})"
        message_id = properties.message_id
        for number, (publication, _) in self._in_flight.items():
            if publication.message_id == message_id and number not in self._returned:
                self._returned[number] = text
                return

    def _on_settled(self, frame: Any) -> None:
        method = frame.method
        verdict = Verdict.CONFIRMED if isinstance(method, spec.Basic.Ack) else Verdict.NACKED
        tag = method.delivery_tag
        if not method.multiple:
            self._settle(tag, verdict)
            return
        for number in list(self._in_flight):
            if number > tag:
                break
            self._settle(number, verdict)

    def _settle(self, number: int, verdict: Verdict) -> None:
        _, settled = self._in_flight.pop(number)
        text = self._returned.pop(number, "") if self._returned else ""
        if text and verdict is Verdict.CONFIRMED:
            verdict = Verdict.RETURNED
        settled(verdict, text or ("refused by the queue" if verdict is Verdict.NACKED else ""))

    def _on_closed(self, reason: ChannelClosed) -> None:
        blame = _blame(reason)
        in_flight, self._in_flight = self._in_flight, {}
        for publication, settled in in_flight.values():
            settled(blame(publication), reason.text)

    async def close(self) -> None:
        """Close the channel."""
        await self._rpc.close()


def _blame(reason: ChannelClosed) -> Callable[[Publication], Verdict]:
    """Which of the publications in flight the broker closed the channel for, and how."""
    if match := _TOO_LARGE.search(reason.text):
        most = int(match[1])
        return lambda p: Verdict.REFUSED if len(p.body) > most else Verdict.LOST
    if match := _NO_EXCHANGE.search(reason.text):
        missing = match[1]
        return lambda p: Verdict.RETURNED if p.exchange == missing else Verdict.LOST
    if match := _NO_ACCESS.search(reason.text):
        refused = match[1]
        return lambda p: Verdict.REFUSED if p.exchange in (refused, "") else Verdict.LOST
    return lambda p: Verdict.LOST
