"""A channel that consumes, and settles what it delivered."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rmqwork._transport.memory.connection import Connection
from rmqwork._transport.memory.message import Entry, shifted, shifted_headers
from rmqwork._transport.memory.queues import Consumer, MemoryQueue
from rmqwork._transport.port import ChannelClosed
from rmqwork.types import Delivery

_log = logging.getLogger("rmqwork.transport")
_LOCKED = (
    "RESOURCE_LOCKED - cannot obtain access to locked queue '{}' in vhost '/'. basic.get "
    "operations are not supported by quorum queues with single active consumer"
)


class _Unacked(NamedTuple):
    queue: MemoryQueue
    entry: Entry
    consumer: Consumer | None


class MemoryConsumeChannel:
    """See `rmqwork._transport.port.ConsumeChannel`."""

    def __init__(self, link: Connection, closed: Callable[[str], None]) -> None:
        self._link = link
        self._closed = closed
        self._tags = itertools.count(1)
        self._names = itertools.count()
        self._unacked: dict[int, _Unacked] = {}
        self._consumers: dict[str, tuple[MemoryQueue, Consumer]] = {}
        self._deliver: dict[str, Callable[[Delivery], None]] = {}
        self._reason: ChannelClosed | None = None

    @property
    def is_open(self) -> bool:
        """Whether deliveries of this channel can still be settled."""
        return self._reason is None and self._link.is_open

    # ── consumers ─────────────────────────────────────────────────────────────────────────────

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
        tag = f"rmqwork.{id(self):x}.{next(self._names)}.{queue}"[:200]

        def on_cancel() -> None:
            self._consumers.pop(tag, None)
            self._link.post(cancelled, "the broker cancelled the consumer")

        priority = (arguments or {}).get("x-priority")
        rank = priority if isinstance(priority, int) else 0
        with self._link.broker.at_work():
            found = self._found(queue)
            if found is not None:
                consumer = Consumer(self, tag, prefetch, rank, on_cancel)
                self._consumers[tag] = (found, consumer)
                self._deliver[tag] = deliver
                found.attach(consumer, arguments or {})
                self._link.broker.touched(found)
        await self._turn()
        return tag

    async def cancel(self, consumer_tag: str) -> None:
        """End a consumer; see the port."""
        with self._link.broker.at_work():
            self._operate()
            found = self._consumers.pop(consumer_tag, None)
            if found is None:
                return
            queue, consumer = found
            queue.consumers.remove(consumer)
            self._link.broker.touched(queue)
        await self._turn()
        self._deliver.pop(consumer_tag, None)

    def hand(self, queue: MemoryQueue, entry: Entry, consumer: Consumer | None) -> None:
        """See `rmqwork._transport.memory.queues.Receiver`."""
        assert consumer is not None
        self._link.post(self._on_delivery, consumer.tag, self._delivery(queue, entry, consumer))

    def _on_delivery(self, tag: str, delivery: Delivery) -> None:
        deliver = self._deliver.get(tag)
        if deliver is None or not self.is_open:
            return
        try:
            deliver(delivery)
        except Exception:
            _log.exception("a delivery from %r could not be taken in", delivery.queue)

    async def get(self, queue: str) -> Delivery | None:
        """Fetch one message; see the port."""
        with self._link.broker.at_work():
            found, delivery = self._found(queue), None
            if found is not None and found.quorum and found.single:
                self._fail(ChannelClosed(405, _LOCKED.format(queue)))
            elif found is not None and (entry := found.take()) is not None:
                delivery = self._delivery(found, entry, None)
        await self._turn()
        return delivery

    def _found(self, queue: str) -> MemoryQueue | None:
        """A queue that this user may read; None when the channel was closed for it."""
        self._operate()
        try:
            self._link.rights.check(self._link.rights.read, "queue", queue)
            return self._link.broker.find(queue)
        except ChannelClosed as closed:
            self._fail(closed)
            return None

    def _delivery(self, queue: MemoryQueue, entry: Entry, consumer: Consumer | None) -> Delivery:
        tag = next(self._tags)
        self._unacked[tag] = _Unacked(queue, entry, consumer)
        ahead = self._link.broker.clock.ahead
        content = shifted(entry.message.content, -ahead)
        headers = dict(shifted_headers(entry.message.headers(), -ahead))
        headers |= queue.headers_of(entry)
        failures = entry.failures or entry.message.failures
        acquired = entry.acquired or entry.message.acquired
        if failures:
            headers["x-delivery-count"] = failures
        if acquired:
            headers["x-acquired-count"] = acquired
        return Delivery(
            self,
            tag,
            queue.name,
            content.exchange,
            content.routing_key,
            entry.redelivered,
            content.body,
            headers,
            content.message_id,
            content.type,
            content.content_type,
            content.content_encoding,
            content.correlation_id,
            content.reply_to,
            content.priority,
            content.timestamp,
            content.app_id,
        )

    # ── settlements ───────────────────────────────────────────────────────────────────────────

    def ack(self, delivery: Delivery) -> None:
        """Done with it; see the port."""
        self._settle(delivery.tag, lambda one: one.queue.done(one.entry))

    def nack(self, delivery: Delivery) -> None:
        """Hand it back without blame; see the port."""
        self._settle(delivery.tag, lambda one: self._give_back(one, failed=False))

    def nack_all(self, tags: Sequence[int]) -> None:
        """Hand these back without blame; see the port."""
        for tag in tags:
            self._settle(tag, lambda one: self._give_back(one, failed=False))

    def reject(self, delivery: Delivery) -> None:
        """Hand it back as a failure; see the port."""
        self._settle(delivery.tag, lambda one: self._give_back(one, failed=True))

    def _settle(self, tag: int, how: Callable[[_Unacked], None]) -> None:
        if not self.is_open:
            return
        with self._link.broker.at_work():
            try:
                self._operate()
            except ChannelClosed:
                return
            one = self._unacked.pop(tag, None)
            if one is None:
                text = f"PRECONDITION_FAILED - unknown delivery tag {tag}"
                self._fail(ChannelClosed(406, text))
                return
            if one.consumer is not None:
                one.consumer.unacked -= 1
            how(one)
            self._link.broker.touched(one.queue)

    def _give_back(self, one: _Unacked, *, failed: bool) -> None:
        one.queue.give_back(one.entry, self._link.broker.now(), failed=failed)

    async def synced(self) -> None:
        """Returns when the broker has processed what was settled before; see the port."""
        self._operate()
        await self._turn()

    # ── its end ───────────────────────────────────────────────────────────────────────────────

    async def close(self) -> None:
        """Close the channel; see the port."""
        with self._link.broker.at_work():
            self._link.forget(self)
            self.end(ChannelClosed(0, "the channel was closed"), asked=True)
        if self._link.is_open:
            await self._link.turn()

    def end(self, reason: ChannelClosed, *, asked: bool) -> None:
        """It ends: what is unsettled goes back to its queues, as failures. The lock is held."""
        if self._reason is not None:
            return
        self._reason = reason
        for queue, consumer in self._consumers.values():
            queue.consumers.remove(consumer)
            self._link.broker.touched(queue)
        self._consumers.clear()
        unacked, self._unacked = self._unacked, {}
        for one in unacked.values():
            self._give_back(one, failed=True)
            self._link.broker.touched(one.queue)
        if not asked:
            self._link.post(self._closed, str(reason))

    def _fail(self, closed: ChannelClosed) -> None:
        """The broker closes the channel."""
        self._link.forget(self)
        self.end(closed, asked=False)

    def _operate(self) -> None:
        if self._reason is not None:
            raise self._reason
        self._link.operate()

    async def _turn(self) -> None:
        await self._link.turn()
        if self._reason is not None:
            raise self._reason
