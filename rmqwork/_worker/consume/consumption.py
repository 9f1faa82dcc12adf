"""Consume the worker's queues over a connection that may come and go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from rmqwork._topology.topology import Declaration, suspects_queue
from rmqwork._transport.port import ChannelClosed, Connector, ConsumeChannel, Link
from rmqwork._transport.reconnecting import SYSTEM_CLOCK, Clock, Reconnecting, backoff
from rmqwork._worker.consume.ports import Consumer, StartGate
from rmqwork._worker.consume.queues import QueueConsumer
from rmqwork._worker.consume.timeouts import consumer_arguments, tell_of_timeout
from rmqwork._worker.model.consumed import Consumed
from rmqwork.errors import BrokerUnavailable, ConfigurationError

_log = logging.getLogger("rmqwork.worker.consuming")
_STOP_TIMEOUT: Final = 2.0
_TURN: Final = "turn"
"""Why a partition is paused for a moment: it is offered to other workers."""
_PATIENT: Final = 6
"""Attempts after which a queue that cannot be consumed is tried at the longest interval."""


class ConsumerConnection:
    """The consuming connection: never publishes.

    Args:
        connector: where connections come from.
        plan: what is declared on each new connection.
        queues: what is consumed.
        consumer: takes deliveries.
        name: shown in the broker's list of connections.
    """

    def __init__(
        self,
        connector: Connector,
        plan: Sequence[Declaration],
        queues: Sequence[Consumed],
        consumer: Consumer,
        name: str,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._connector = connector
        self._plan = plan
        self._served = [QueueConsumer(*one) for one in queues]
        self._queues: dict[str, list[QueueConsumer]] = {}
        for served in self._served:
            self._queues.setdefault(served.queue, []).append(served)
        self._consumer = consumer
        self._name = name
        self._clock = clock
        self._link: Link | None = None
        self._stop = asyncio.Event()
        self._serving: dict[QueueConsumer, asyncio.Task[None]] = {}
        self._following: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()
        """Set once the first connection stands and all is declared."""
        self.may_start = asyncio.Event()
        """To be set when executors can take deliveries."""
        self.problem: Exception | None = None
        self._companion: StartGate | None = None
        self.server: tuple[int, ...] = ()
        """The version of the broker that it was connected to last."""

    @property
    def consuming(self) -> bool:
        """Whether every queue has its consumer now, but for those that are paused."""
        return self._link is not None and all(
            bool(served.tags or served.paused or served.at_rest)
            and served.channel is not None
            and served.channel.is_open
            for served in self._served
        )

    def reasons(self, queue: str) -> frozenset[str]:
        """Why a queue is paused; empty: it is not."""
        return frozenset(self._queues[queue][0].paused)

    def halts(self, partition: str) -> bool:
        """Whether a partition is paused, by itself or with its queue."""
        return any(served.paused for served in self._served if served.partition == partition)

    def pause(self, queue: str, reason: str) -> None:
        """End a queue's consumers until no reason is left; `Consumer.paused` is called then."""
        for served in self._queues[queue]:
            served.paused.add(reason)
            served.change()

    def resume(self, queue: str, reason: str) -> None:
        """Take back a reason for which a queue was paused."""
        for served in self._queues[queue]:
            served.paused.discard(reason)
            served.change()

    def look_again(self, partition: str) -> None:
        """A partition's task has ended: its consumer may end, if it is to."""
        for served in self._served:
            if served.partition == partition and (served.paused or self._stop.is_set()):
                served.changed.set()

    def offer(self, partition: str) -> None:
        """End a partition's consumer, and begin another one behind those of other workers."""
        for served in self._served:
            if served.partition == partition and not served.paused:
                served.paused.add(_TURN)
                served.changed.set()

    def serves(self, partition: str) -> bool:
        """Whether a partition has a consumer here, which would be given what is given back."""
        return any(served.tags for served in self._served if served.partition == partition)

    def prefetch(self, queue: str) -> int:
        """The prefetch that a queue's consumer has, or is about to have."""
        return self._queues[queue][0].prefetch

    def set_prefetch(self, queue: str, prefetch: int) -> None:
        """Change a queue's prefetch: a new consumer takes over from the old one."""
        served = self._queues[queue][0]
        if served.prefetch != prefetch:
            served.prefetch = prefetch
            served.change()

    def at_once(self, queue: str) -> int:
        """The prefetch that a queue's suspects have, or are about to have; 1 at first."""
        return self._queues[queue][0].at_once

    def set_at_once(self, queue: str, prefetch: int) -> None:
        """Change it; 0: no consumer, and `Consumer.suspects_stopped` is called then."""
        self._queues[queue][0].at_once = prefetch
        self._queues[queue][0].changed.set()

    async def run(self, companion: StartGate | None = None) -> None:
        """Keep consuming until `stop`.

        Args:
            companion: goes on beside it, and may hold back its beginning.

        Raises:
            ConfigurationError: the topology does not suit, at the first connection.
        """
        self._companion = companion
        if companion is not None:
            self._following = asyncio.create_task(companion.run(), name="rmqwork-control")
        async for attempt in Reconnecting(self._clock, stopped=self._stop.is_set):
            try:
                await self._connected_once()
            except ConfigurationError as error:
                if not self.connected.is_set():
                    raise
                _log.error("%s", error)
                self.problem = error
            except (BrokerUnavailable, ChannelClosed) as error:
                self.problem = error
                _log.log(logging.WARNING if attempt < 1 else logging.DEBUG, "%s", error)
            except Exception as error:
                if not self.connected.is_set():
                    raise
                self.problem = error
                _log.exception("the connection failed in a way that was not foreseen")

    async def repair(self) -> None:
        """Declare the topology again."""
        if self._link is not None:
            await self._link.declare(self._plan)

    async def stop(self) -> None:
        """End all consumers; what they delivered can still be settled. A partition's whose task
        runs ends after that.
        """
        self._stop.set()
        self.may_start.set()
        for served in self._served:
            served.changed.set()
        held = {served for served in self._serving if self._holds(served)}
        await self._end(served for served in self._serving if served not in held)

    async def _end(self, those: Iterable[QueueConsumer], patience: float = _STOP_TIMEOUT) -> None:
        """Let these be served no more; cut off where the broker does not answer."""
        tasks = [self._serving.pop(served) for served in list(those)]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Disconnect, after the broker has seen all that was settled."""
        self._stop.set()
        await self._end(self._serving)
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        for served in self._served:
            if served.channel is not None and served.channel.is_open:
                with contextlib.suppress(ChannelClosed, TimeoutError):
                    await asyncio.wait_for(served.channel.synced(), _STOP_TIMEOUT)
        if self._link is not None:
            await self._link.close()

    # ── one connection ────────────────────────────────────────────────────────────────────────

    async def _connected_once(self) -> None:
        link = await self._connector.open(self._name)
        lost = asyncio.Event()
        reasons: list[str] = []

        def on_lost(reason: str) -> None:
            reasons.append(reason)
            lost.set()

        link.on_lost(on_lost)
        loop = asyncio.get_running_loop()
        try:
            for difference in await link.declare(self._plan):
                _log.warning("%s; used as it is", difference)
        except BaseException:
            await link.close()
            raise
        self._link = link
        self.problem = None
        self.server = link.server.version
        if not self.connected.is_set():
            for queue, (served, *_) in self._queues.items():
                tell_of_timeout(queue, served.timeout, self.server)
        else:
            _log.info("connected again to %s", self._connector.label)
        self.connected.set()
        await self.may_start.wait()
        if self._companion is not None:
            await self._companion.known()
        if self._stop.is_set():
            return
        self._serving = {
            served: loop.create_task(
                self._serve(link, served), name=f"rmqwork-consume-{served.name}"
            )
            for served in self._served
        }
        await lost.wait()
        await self._end(self._serving, patience=0.0)
        self._link = None
        raise BrokerUnavailable(f"the connection was lost: {'; '.join(reasons)}; reconnecting")

    async def _serve(self, link: Link, served: QueueConsumer) -> None:
        """Keep one queue consumed while its connection stands."""
        attempt = 0
        while not self._over(link):
            try:
                if attempt:
                    await link.declare(self._plan)
                await self._serve_once(link, served)
            except Exception as error:  # whatever it is, a queue must not be left unserved
                if self._over(link):
                    return
                _log.log(
                    logging.ERROR if attempt < _PATIENT else logging.DEBUG,
                    "queue %r cannot be consumed: %s; trying again",
                    served.name,
                    error,
                )
                attempt += 1
                await self._clock.sleep(backoff(attempt))

    def _over(self, link: Link) -> bool:
        return self._stop.is_set() or not link.is_open

    async def _serve_once(self, link: Link, served: QueueConsumer) -> None:
        """Consume one queue until its channel or one of its consumers ends, or `stop`.

        Raises:
            ChannelClosed: it ended unasked.
        """
        reasons: list[str] = []

        def ended(reason: str) -> None:
            reasons.append(reason)
            served.changed.set()

        def closed(reason: str) -> None:
            ended(reason)
            self._lost(served, channel)

        channel: ConsumeChannel = await link.open_consuming(closed)
        served.channel, served.stale, served.suspects = channel, True, None
        try:
            while not (reasons or (self._stop.is_set() and not self._holds(served))):
                served.changed.clear()
                if served.paused:
                    if not self._holds(served):
                        await self._pause(served, channel)
                elif not (self._stop.is_set() or (served.partition and served.tags)):
                    if served.stale:
                        await self._consume(served, channel, ended)
                    await self._see_to_suspects(served, channel, ended)
                await served.changed.wait()
        except ChannelClosed as error:
            reasons.append(str(error))
        tags = served.end_tags()
        if not reasons:
            for tag in tags:
                await channel.cancel(tag)
            served.dismiss()
            if served.partition is not None:
                self._consumer.paused(served.name)
            return
        if link.is_open and channel.is_open:
            await self._give_up(served, channel)
        raise ChannelClosed(0, "; ".join(reasons))

    async def _consume(
        self, served: QueueConsumer, channel: ConsumeChannel, ended: Callable[[str], None]
    ) -> None:
        """Start the consumers of a queue; they take over from those that it had."""
        old, served.stale = served.tags, False
        served.tags = [
            await self._begin(served, channel, source, served.prefetch, ended)
            for source in served.sources
            if source != suspects_queue(served.queue)
        ]
        served.at_rest = False
        for tag in old:
            await channel.cancel(tag)

    async def _begin(
        self,
        served: QueueConsumer,
        channel: ConsumeChannel,
        source: str,
        prefetch: int,
        ended: Callable[[str], None],
    ) -> str:
        return await channel.consume(
            source,
            prefetch=prefetch,
            deliver=served.receiver(self._consumer.delivered),
            cancelled=ended,
            arguments=consumer_arguments(served.timeout, self.server),
        )

    async def _see_to_suspects(
        self, served: QueueConsumer, channel: ConsumeChannel, ended: Callable[[str], None]
    ) -> None:
        """Have the consumer of suspects that is wanted; the old one ends before."""
        source, wanted = suspects_queue(served.queue), served.at_once
        if source not in served.sources:
            return
        tag, now = served.suspects or ("", 0)
        if wanted != now:
            served.suspects = None
            if now:
                await channel.cancel(tag)
            if wanted:
                tag = await self._begin(served, channel, source, wanted, ended)
                served.suspects = (tag, wanted)
        if not wanted:
            self._consumer.suspects_stopped(served.queue)

    async def _pause(self, served: QueueConsumer, channel: ConsumeChannel) -> None:
        tags = served.end_tags()
        served.at_rest = True
        for tag in tags:
            await channel.cancel(tag)
        served.dismiss()
        self._consumer.paused(served.name)
        if _TURN in served.paused:
            served.paused.discard(_TURN)
            served.change()

    def _holds(self, served: QueueConsumer) -> bool:
        return served.partition is not None and self._consumer.holds(served.partition)

    async def _give_up(self, served: QueueConsumer, channel: ConsumeChannel) -> None:
        """A consumer was cancelled by the broker: begin again on a channel of its own."""
        self._lost(served, channel)
        with contextlib.suppress(ChannelClosed):
            await channel.close()

    def _lost(self, served: QueueConsumer, channel: ConsumeChannel) -> None:
        if served.channel is channel:
            served.channel = None
            served.end_tags()
            served.at_once = 1
            served.at_rest = False
        self._consumer.channel_lost(channel)
