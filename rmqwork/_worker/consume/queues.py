"""`QueueConsumer`: a queue, or a partition of one, that is consumed on a channel of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from rmqwork._topology.topology import suspects_queue
from rmqwork._transport.port import ChannelClosed, ConsumeChannel, Link
from rmqwork._worker.consume.channel import QueueChannel
from rmqwork._worker.consume.partition import HAND_OVER_WAIT, PartitionConsumer
from rmqwork._worker.consume.plain import PlainConsumers
from rmqwork._worker.consume.ports import DeliveryHandler, WorkerHandler
from rmqwork._worker.consume.suspects import SuspectsConsumer
from rmqwork._worker.consume.timeouts import consumer_arguments
from rmqwork._worker.model.consumed import Consumed


def _nothing() -> None:
    pass


def _never() -> bool:
    return False


class ConsumerStrategy(Protocol):
    """Decides which consumers a queue has on its channel."""

    @property
    def active(self) -> bool:
        """True while there are consumers."""
        ...

    async def adjust(self, channel: QueueChannel) -> None:
        """Have the consumers that are wanted now."""

    async def end(self, channel: QueueChannel) -> None:
        """Have no consumers; what they delivered can still be settled."""

    def forget(self) -> None:
        """Take note that the channel has ended, and its consumers with it."""


class QueueConsumer:
    """Consumes one queue, or one partition, while its connection stands.

    Args:
        spec: what is consumed.
        handler: takes its deliveries.
        strategies: its consumers; it counts as consumed while the first has some.
        changed: set when the strategies have something to adjust.
        paused: called when it has no consumers because it is paused.
        stopped: called when it has none because the worker stops.
        busy: True while its consumers must not end.
    """

    def __init__(
        self,
        spec: Consumed,
        handler: DeliveryHandler,
        strategies: Sequence[ConsumerStrategy],
        changed: asyncio.Event,
        *,
        paused: Callable[[], None] = _nothing,
        stopped: Callable[[], None] = _nothing,
        busy: Callable[[], bool] = _never,
    ) -> None:
        self.queue, self.timeout, self.partition = spec.queue, spec.timeout, spec.partition
        self.strategies = strategies
        self.busy = busy
        self.channel: ConsumeChannel | None = None
        self._handler = handler
        self._changed = changed
        self._paused = paused
        self._stopped = stopped
        self._reasons: set[str] = set()
        self._offered = False
        self._stopping = False
        self._at_rest = False
        """Without consumers because it is paused, or was until just now."""

    @property
    def name(self) -> str:
        """Of the partition, or of the queue."""
        return self.partition or self.queue

    @property
    def active(self) -> bool:
        """True while it has its consumers."""
        return self.strategies[0].active

    @property
    def consuming(self) -> bool:
        """True while it has its consumers, or is paused, and what it delivered can be settled."""
        well = self.active or self.halted or self._at_rest
        return well and self.channel is not None and self.channel.is_open

    @property
    def reasons(self) -> frozenset[str]:
        """Why it is paused; empty: it is not."""
        return frozenset(self._reasons)

    @property
    def halted(self) -> bool:
        """True while it is paused, or about to begin anew."""
        return bool(self._reasons) or self._offered

    def pause(self, reason: str) -> None:
        """End its consumers until no reason is left."""
        self._reasons.add(reason)
        self._changed.set()

    def resume(self, reason: str) -> None:
        """Take back a reason for which it was paused."""
        self._reasons.discard(reason)
        self._changed.set()

    def offer(self) -> None:
        """End its consumer, and begin another one behind those of other workers."""
        if not self.halted:
            self._offered = True
            self._changed.set()

    def stop(self) -> None:
        """End it as soon as it is not busy."""
        self._stopping = True
        self._changed.set()

    def look_again(self) -> None:
        """It may not be busy any more: its consumers may end, if they are to."""
        if self.halted or self._stopping:
            self._changed.set()

    async def serve(self, link: Link) -> None:
        """Consume until the channel or one of the consumers ends, or `stop`.

        Raises:
            ChannelClosed: it ended unasked.
        """
        ended: list[str] = []

        def cancelled(reason: str) -> None:
            ended.append(reason)
            self._changed.set()

        def closed(reason: str) -> None:
            cancelled(reason)
            self._lost(opened)

        opened: ConsumeChannel = await link.open_consuming(closed)
        for strategy in self.strategies:
            strategy.forget()
        channel = QueueChannel(
            opened,
            partial(self._handler.delivered, self.queue),
            cancelled,
            consumer_arguments(self.timeout, link.server.version),
        )
        self.channel = opened
        cause: Exception | None = None
        try:
            while not (ended or (self._stopping and not self.busy())):
                self._changed.clear()
                await self._adjust(channel)
                await self._changed.wait()
            if not ended:
                await self._end(channel)
                self._stopped()
                return
        except Exception as error:  # the channel must not stay behind with its consumers
            cause = error
            ended.append(str(error))
        if link.is_open and opened.is_open:
            self._lost(opened)
            with contextlib.suppress(ChannelClosed):
                await opened.close()
        raise ChannelClosed(0, "; ".join(ended)) from cause

    async def _adjust(self, channel: QueueChannel) -> None:
        if self.halted:
            if not self.busy():
                self._at_rest = True
                await self._end(channel)
                self._paused()
                if self._offered:
                    self._offered = False
                    self._changed.set()
        elif not self._stopping:
            for strategy in self.strategies:
                await strategy.adjust(channel)
            self._at_rest = False

    async def _end(self, channel: QueueChannel) -> None:
        for strategy in self.strategies:
            await strategy.end(channel)

    def _lost(self, channel: ConsumeChannel) -> None:
        """Its deliveries can be settled no more."""
        if self.channel is channel:
            self.channel = None
            self._at_rest = False
            for strategy in self.strategies:
                strategy.forget()
        self._handler.channel_lost(channel)


def plain_queue(spec: Consumed, handler: DeliveryHandler) -> QueueConsumer:
    """Return the consumer of a queue that is never paused and has no suspects."""
    changed = asyncio.Event()
    plain = PlainConsumers(spec.sources, spec.prefetch, changed.set)
    return QueueConsumer(spec, handler, [plain], changed)


def worker_queues(
    specs: Iterable[Consumed], handler: WorkerHandler, hand_over_wait: float = HAND_OVER_WAIT
) -> list[QueueConsumer]:
    """Return the consumers of a worker's queues and partitions.

    Args:
        specs: what is consumed.
        handler: takes the deliveries.
        hand_over_wait: seconds for which a new consumer of a partition waits for what the one
            before it gives back.
    """
    return [
        _pausable_queue(spec, handler)
        if spec.partition is None
        else _partition(spec, spec.partition, handler, hand_over_wait)
        for spec in specs
    ]


def _pausable_queue(spec: Consumed, handler: WorkerHandler) -> QueueConsumer:
    changed = asyncio.Event()
    suspects = suspects_queue(spec.queue)
    sources = [source for source in spec.sources if source != suspects]
    strategies: list[ConsumerStrategy] = [PlainConsumers(sources, spec.prefetch, changed.set)]
    if suspects in spec.sources:
        stopped = partial(handler.suspects_stopped, spec.queue)
        strategies.append(SuspectsConsumer(suspects, stopped, changed.set))
    paused = partial(handler.paused, spec.queue)
    return QueueConsumer(spec, handler, strategies, changed, paused=paused)


def _partition(
    spec: Consumed, name: str, handler: WorkerHandler, hand_over_wait: float
) -> QueueConsumer:
    paused = partial(handler.paused, name)
    return QueueConsumer(
        spec,
        handler,
        [PartitionConsumer(name, hand_over_wait)],
        asyncio.Event(),
        paused=paused,
        stopped=paused,
        busy=partial(handler.holds, name),
    )
