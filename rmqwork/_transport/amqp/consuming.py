"""A channel that consumes, and settles in batches."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pika import spec

from rmqwork._transport.amqp.frames import method_frame
from rmqwork._transport.amqp.pika_internals import Channel, Connection
from rmqwork._transport.amqp.rpc import Rpc
from rmqwork._transport.port import ChannelClosed
from rmqwork.types import Delivery

_log = logging.getLogger("rmqwork.transport")


class AmqpConsumeChannel:
    """Consumers of one channel; a delivery is settled on the channel that it came on.

    Settlements of one loop turn leave together, in the order in which they were given, and acks of
    an unbroken row of tags as one frame with ``multiple``.
    """

    def __init__(self, connection: Connection, closed: Callable[[str], None]) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._rpc: Rpc
        self._closed = closed
        self._cancelled: dict[str, Callable[[str], None]] = {}
        self._numbers = itertools.count()
        self._oldest = 1
        self._settled: set[int] = set()
        self._acks: list[int] = []
        self._prefetch = 0

    @classmethod
    async def open(
        cls, connection: Connection, closed: Callable[[str], None]
    ) -> AmqpConsumeChannel:
        """Open a channel."""
        self = cls(connection, closed)
        self._rpc = await Rpc.open(connection, self._on_closed)
        self._rpc.channel.add_on_cancel_callback(self._on_cancelled)
        return self

    @property
    def is_open(self) -> bool:
        """Whether deliveries of this channel can still be settled."""
        return self._rpc.is_open

    async def consume(
        self,
        queue: str,
        *,
        prefetch: int,
        deliver: Callable[[Delivery], None],
        cancelled: Callable[[str], None],
        arguments: Mapping[str, object] | None = None,
    ) -> str:
        """Start a consumer; see the port."""
        channel: Channel = self._rpc.channel
        await self._rpc.call(channel.basic_qos, prefetch_count=prefetch)
        self._prefetch = prefetch
        # Never the same tag twice: to a quorum queue it would be the same consumer, whose unsettled
        # deliveries from before its cancel still count against the new prefetch.
        tag = f"rmqwork.{id(self):x}.{next(self._numbers)}.{queue}"[:200]
        self._cancelled[tag] = cancelled

        def on_deliver(method: Any, properties: Any, body: bytes) -> None:
            try:
                deliver(_delivery(self, queue, method, properties, body))
            except Exception:
                _log.exception("a delivery from %r could not be taken in", queue)

        channel.consumers[tag] = on_deliver
        try:
            await self._rpc.call(
                channel.basic_consume,
                queue,
                on_message_callback=_delivered_elsewhere,
                consumer_tag=tag,
                arguments=dict(arguments or {}),
            )
        except BaseException:
            channel.consumers.pop(tag, None)
            raise
        return tag

    async def cancel(self, consumer_tag: str) -> None:
        """End a consumer; see the port."""
        channel: Channel = self._rpc.channel
        if self._cancelled.pop(consumer_tag, None) is not None:
            await self._rpc.call(channel.basic_cancel, consumer_tag)
            channel.consumers.pop(consumer_tag, None)

    async def get(self, queue: str) -> Delivery | None:
        """Fetch one message; see the port."""
        _, method, properties, body = await self._rpc.call(self._rpc.channel.basic_get, queue)
        return None if method is None else _delivery(self, queue, method, properties, body)

    def ack(self, delivery: Delivery) -> None:
        """Done with it; see the port."""
        if not self._acks:
            self._loop.call_soon(self._flush)
        self._acks.append(delivery.tag)

    def nack(self, delivery: Delivery) -> None:
        """Hand it back without blame; see the port."""
        self._negative(delivery.tag, spec.Basic.Nack(delivery.tag, requeue=True))

    def nack_all(self, tags: Sequence[int]) -> None:
        """Hand these back without blame; see the port."""
        self._flush()
        row = 0
        methods: list[Any] = []
        for tag in tags:
            if not methods and self._advanced() == tag:
                row, self._oldest = tag, tag + 1
            else:
                self._settled.add(tag)
                methods.append(spec.Basic.Nack(tag, requeue=True))
        if row:
            methods.insert(0, spec.Basic.Nack(row, multiple=True, requeue=True))
        self._send(methods)

    def reject(self, delivery: Delivery) -> None:
        """Hand it back as a failure; see the port."""
        self._negative(delivery.tag, spec.Basic.Reject(delivery.tag, requeue=True))

    async def synced(self) -> None:
        """Returns when the broker has processed what was settled before; see the port."""
        self._flush()
        await self._rpc.call(self._rpc.channel.basic_qos, prefetch_count=self._prefetch)

    async def close(self) -> None:
        """Close the channel; see the port."""
        self._flush()
        await self._rpc.close()

    def _negative(self, tag: int, method: Any) -> None:
        self._flush()
        self._settled.add(tag)
        self._advanced()
        self._send([method])

    def _advanced(self) -> int:
        """Forget the unbroken row of settled tags; returns the oldest one that is not settled."""
        done, last = self._settled, self._oldest
        while last in done:
            done.discard(last)
            last += 1
        self._oldest = last
        return last

    def _flush(self) -> None:
        acks, self._acks = self._acks, []
        if not acks:
            return
        oldest = self._oldest
        self._settled.update(acks)
        last = self._advanced()
        row = [tag for tag in acks if tag < last]
        methods: list[Any] = []
        if len(row) > 1:
            methods.append(spec.Basic.Ack(max(row), multiple=True))
        elif row:
            methods.append(spec.Basic.Ack(row[0]))
        methods += [spec.Basic.Ack(tag) for tag in acks if tag >= last and tag >= oldest]
        self._send(methods)

    def _send(self, methods: list[Any]) -> None:
        if self._rpc.is_open:
            number = self._rpc.channel.channel_number
            self._connection.send_frames([method_frame(number, method) for method in methods])

    def _on_cancelled(self, frame: Any) -> None:
        tag = frame.method.consumer_tag
        self._rpc.channel.consumers.pop(tag, None)
        cancelled = self._cancelled.pop(tag, None)
        if cancelled is not None:
            cancelled("the broker cancelled the consumer")

    def _on_closed(self, reason: ChannelClosed) -> None:
        self._closed(str(reason))


def _delivered_elsewhere(*_: object) -> None:
    """Deliveries go through `Channel.consumers`, also those of a consumer being cancelled."""


def _delivery(
    channel: AmqpConsumeChannel, queue: str, method: Any, properties: Any, body: bytes
) -> Delivery:
    timestamp = properties.timestamp
    return Delivery(
        channel,
        method.delivery_tag,
        queue,
        method.exchange,
        method.routing_key,
        method.redelivered,
        body,
        properties.headers or {},
        properties.message_id,
        properties.type,
        properties.content_type,
        properties.content_encoding,
        properties.correlation_id,
        properties.reply_to,
        properties.priority,
        None if timestamp is None else int(timestamp),
        properties.app_id,
    )
