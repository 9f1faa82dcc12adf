"""Consume the worker's queues over a connection that may come and go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol

from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.publisher import STABLE, backoff
from rmqwork.topology import Declaration, suspects_queue
from rmqwork.transport.port import ChannelClosed, Connector, ConsumeChannel, Link
from rmqwork.types import Delivery

_log = logging.getLogger(__name__)
_STOP_TIMEOUT: Final = 2.0
_TIMEOUT_OF_CONSUMERS: Final = (4, 3)
_PATIENT: Final = 6
"""Attempts after which a queue that cannot be consumed is tried at the longest interval."""


class Consumer(Protocol):
    """Who takes what is consumed."""

    def delivered(self, queue: str, delivery: Delivery) -> None:
        """A message of one of the worker's queues has come."""

    def channel_lost(self, channel: ConsumeChannel) -> None:
        """Deliveries of this channel can be settled no more; they will come again."""

    def paused(self, queue: str) -> None:
        """A queue has no consumer any more: nothing of it comes until it is resumed."""


class Companion(Protocol):
    """What goes on beside consumption, and may hold back its beginning."""

    async def run(self) -> None:
        """Do it until cancelled."""

    async def known(self) -> None:
        """Returns when consumption may begin, as far as the companion is concerned."""


@dataclass(slots=True, eq=False)
class _Served:
    """One of the worker's queues."""

    name: str
    sources: tuple[str, ...]
    prefetch: int
    timeout: float | None = None
    channel: ConsumeChannel | None = None
    tags: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    paused: set[str] = field(default_factory=set)
    at_rest: bool = False
    """Without consumers because it is paused, or was until just now."""


class Consumption:
    """The consuming connection: never publishes.

    Args:
        connector: where connections come from.
        plan: what is declared on each new connection.
        queues: ``(queue, names of the queues it is read from, prefetch, consumer timeout)``; the
            timeout in seconds, None = the broker's, may be left out.
        consumer: takes deliveries.
        name: shown in the broker's list of connections.
    """

    def __init__(
        self,
        connector: Connector,
        plan: Sequence[Declaration],
        queues: Sequence[
            tuple[str, tuple[str, ...], int] | tuple[str, tuple[str, ...], int, float | None]
        ],
        consumer: Consumer,
        name: str,
    ) -> None:
        self._connector = connector
        self._plan = plan
        self._queues = {queue: _Served(queue, *rest) for queue, *rest in queues}  # type: ignore[arg-type]
        self._consumer = consumer
        self._name = name
        self._link: Link | None = None
        self._stop = asyncio.Event()
        self._serving: list[asyncio.Task[None]] = []
        self._following: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()
        """Set once the first connection stands and all is declared."""
        self.may_start = asyncio.Event()
        """To be set when executors can take deliveries."""
        self.problem: Exception | None = None
        self.companion: Companion | None = None
        self.server: tuple[int, ...] = ()
        """The version of the broker that it was connected to last."""

    @property
    def consuming(self) -> bool:
        """Whether every queue has its consumer now, but for those that are paused."""
        return self._link is not None and all(
            bool(served.tags or served.paused or served.at_rest)
            and served.channel is not None
            and served.channel.is_open
            for served in self._queues.values()
        )

    def reasons(self, queue: str) -> frozenset[str]:
        """Why a queue is paused; empty: it is not."""
        return frozenset(self._queues[queue].paused)

    def pause(self, queue: str, reason: str) -> None:
        """End a queue's consumers until no reason is left; `Consumer.paused` is called then."""
        self._queues[queue].paused.add(reason)
        self._queues[queue].changed.set()

    def resume(self, queue: str, reason: str) -> None:
        """Take back a reason for which a queue was paused."""
        self._queues[queue].paused.discard(reason)
        self._queues[queue].changed.set()

    def prefetch(self, queue: str) -> int:
        """The prefetch that a queue's consumer has, or is about to have."""
        return self._queues[queue].prefetch

    def set_prefetch(self, queue: str, prefetch: int) -> None:
        """Change a queue's prefetch: a new consumer takes over from the old one."""
        served = self._queues[queue]
        if served.prefetch != prefetch:
            served.prefetch = prefetch
            served.changed.set()

    async def run(self) -> None:
        """Keep consuming until `stop`.

        Raises:
            ConfigurationError: the topology does not suit, at the first connection.
        """
        if self.companion is not None:
            self._following = asyncio.create_task(self.companion.run(), name="rmqwork-control")
        attempt = 0
        while not self._stop.is_set():
            began = monotonic()
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
            attempt = 0 if monotonic() - began > STABLE else attempt + 1
            if not self._stop.is_set():
                await asyncio.sleep(backoff(attempt))

    async def repair(self) -> None:
        """Declare the topology again."""
        if self._link is not None:
            await self._link.declare(self._plan)

    async def stop(self) -> None:
        """End all consumers; what they delivered can still be settled."""
        self._stop.set()
        self.may_start.set()
        for served in self._queues.values():
            served.changed.set()
        if self._serving:
            await asyncio.wait(self._serving, timeout=_STOP_TIMEOUT)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def close(self) -> None:
        """Disconnect, after the broker has seen all that was settled."""
        self._stop.set()
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        for served in self._queues.values():
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
            self._tell_of_timeout()
        else:
            _log.info("connected again to %s", self._connector.label)
        self.connected.set()
        await self.may_start.wait()
        if self.companion is not None:
            await self.companion.known()
        if self._stop.is_set():
            return
        self._serving = [
            loop.create_task(self._serve(link, served), name=f"rmqwork-consume-{served.name}")
            for served in self._queues.values()
        ]
        await lost.wait()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self._link = None
        raise BrokerUnavailable(f"the connection was lost: {'; '.join(reasons)}; reconnecting")

    async def _serve(self, link: Link, served: _Served) -> None:
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
                await asyncio.sleep(backoff(attempt))

    def _over(self, link: Link) -> bool:
        return self._stop.is_set() or not link.is_open

    async def _serve_once(self, link: Link, served: _Served) -> None:
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
        served.channel = channel
        try:
            while not (reasons or self._stop.is_set()):
                served.changed.clear()
                if served.paused:
                    await self._pause(served, channel)
                else:
                    await self._consume(served, channel, ended)
                await served.changed.wait()
        except ChannelClosed as error:
            reasons.append(str(error))
        tags, served.tags = served.tags, []
        if not reasons:
            for tag in tags:
                await channel.cancel(tag)
            return
        if link.is_open and channel.is_open:
            await self._give_up(served, channel)
        raise ChannelClosed(0, "; ".join(reasons))

    async def _consume(
        self, served: _Served, channel: ConsumeChannel, ended: Callable[[str], None]
    ) -> None:
        """Start the consumers of a queue; they take over from those that it had."""
        old, fresh = served.tags, list[str]()
        for source in served.sources:
            tag = await channel.consume(
                source,
                prefetch=1 if source == suspects_queue(served.name) else served.prefetch,
                deliver=lambda delivery: self._consumer.delivered(served.name, delivery),
                cancelled=ended,
                arguments=self._arguments(served),
            )
            fresh.append(tag)
        served.tags = fresh
        served.at_rest = False
        for tag in old:
            await channel.cancel(tag)

    async def _pause(self, served: _Served, channel: ConsumeChannel) -> None:
        tags, served.tags = served.tags, []
        served.at_rest = True
        for tag in tags:
            await channel.cancel(tag)
        self._consumer.paused(served.name)

    def _arguments(self, served: _Served) -> dict[str, object]:
        """Of a consumer. Older brokers know its timeout as a policy or a setting of theirs only."""
        if served.timeout is None or self.server < _TIMEOUT_OF_CONSUMERS:
            return {}
        return {"x-consumer-timeout": round(served.timeout * 1000)}

    def _tell_of_timeout(self) -> None:
        """Say what somebody has to set on a broker that takes no timeout from a consumer."""
        if self.server >= _TIMEOUT_OF_CONSUMERS:
            return
        for served in self._queues.values():
            if served.timeout is not None:
                _log.warning(
                    "queue %r has tasks that may run for longer than RabbitMQ %s lets a delivery "
                    "wait (30 min by default): a run beyond that is repeated; set the policy "
                    "consumer-timeout (3.12 and later) of this queue, or consumer_timeout in "
                    "rabbitmq.conf, to %d ms",
                    served.name,
                    ".".join(map(str, self.server)),
                    round(served.timeout * 1000),
                )

    async def _give_up(self, served: _Served, channel: ConsumeChannel) -> None:
        """A consumer was cancelled by the broker: begin again on a channel of its own."""
        self._lost(served, channel)
        with contextlib.suppress(ChannelClosed):
            await channel.close()

    def _lost(self, served: _Served, channel: ConsumeChannel) -> None:
        if served.channel is channel:
            served.channel = None
            served.tags = []
            served.at_rest = False
        self._consumer.channel_lost(channel)
