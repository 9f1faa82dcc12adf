"""Consume the worker's queues over a connection that may come and go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from rmqwork._topology.topology import Declaration
from rmqwork._transport.port import ChannelClosed, Connector, Link
from rmqwork._transport.reconnecting import SYSTEM_CLOCK, Clock, Reconnecting, backoff
from rmqwork._worker.consume.partition import PREFETCH
from rmqwork._worker.consume.plain import PlainConsumers
from rmqwork._worker.consume.queues import QueueConsumer
from rmqwork._worker.consume.suspects import SuspectsConsumer
from rmqwork._worker.consume.timeouts import tell_of_timeout
from rmqwork.errors import BrokerUnavailable, ConfigurationError

_log = logging.getLogger("rmqwork.worker.consuming")
STOP_TIMEOUT: Final = 2.0
"""Seconds in which the broker ends a consumer, or says that it has seen what was settled."""
_PATIENT: Final = 6
"""Attempts after which a queue that cannot be consumed is tried at the longest interval."""


class StartGate(Protocol):
    """Runs beside consumption, and may hold back its beginning."""

    async def run(self) -> None:
        """Do it until cancelled."""

    async def known(self) -> None:
        """Return when consumption may begin, as far as this gate is concerned."""


class ConsumerConnection:
    """The consuming connection: never publishes.

    Args:
        connector: where connections come from.
        plan: what is declared on each new connection.
        consumers: of what is consumed.
        name: shown in the broker's list of connections.
        clock: waits between attempts.
        stop_timeout: seconds in which the broker answers when this ends.
    """

    def __init__(
        self,
        connector: Connector,
        plan: Sequence[Declaration],
        consumers: Sequence[QueueConsumer],
        name: str,
        *,
        clock: Clock = SYSTEM_CLOCK,
        stop_timeout: float = STOP_TIMEOUT,
    ) -> None:
        self._connector = connector
        self._plan = plan
        self._consumers: list[QueueConsumer] = []
        self._queues: dict[str, list[QueueConsumer]] = {}
        self._partitions: dict[str, QueueConsumer] = {}
        self._plain: dict[str, PlainConsumers] = {}
        self._suspects: dict[str, SuspectsConsumer] = {}
        self.add(consumers)
        self._name = name
        self._clock = clock
        self._stop_timeout = stop_timeout
        self._link: Link | None = None
        self._stop = asyncio.Event()
        self._serving: dict[QueueConsumer, asyncio.Task[None]] = {}
        self._following: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()
        """Set once the first connection stands and all is declared."""
        self.may_start = asyncio.Event()
        """Set by `start`; waited for by what is not to be in the way of the first delivery."""
        self.problem: Exception | None = None
        self._companion: StartGate | None = None
        self.server: tuple[int, ...] = ()
        """The version of the broker that it was connected to last."""

    def add(self, consumers: Iterable[QueueConsumer]) -> None:
        """Consume these, too; to be called before `run`."""
        for consumer in consumers:
            self._add(consumer)

    def _add(self, consumer: QueueConsumer) -> None:
        self._consumers.append(consumer)
        self._queues.setdefault(consumer.queue, []).append(consumer)
        if consumer.partition is not None:
            self._partitions[consumer.partition] = consumer
        for strategy in consumer.strategies:
            if isinstance(strategy, PlainConsumers):
                self._plain[consumer.queue] = strategy
            elif isinstance(strategy, SuspectsConsumer):
                self._suspects[consumer.queue] = strategy

    @property
    def consuming(self) -> bool:
        """True while every queue has its consumers, but for those that are paused."""
        return self._link is not None and all(one.consuming for one in self._consumers)

    def start(self) -> None:
        """Begin to consume as soon as there is a connection: executors can take deliveries."""
        self.may_start.set()

    # ── queues ────────────────────────────────────────────────────────────────────────────────

    def reasons(self, queue: str) -> frozenset[str]:
        """Why a queue is paused; empty: it is not."""
        return self._queues[queue][0].reasons

    def pause(self, queue: str, reason: str) -> None:
        """End a queue's consumers until no reason is left; `WorkerHandler.paused` follows."""
        for consumer in self._queues[queue]:
            consumer.pause(reason)

    def resume(self, queue: str, reason: str) -> None:
        """Take back a reason for which a queue was paused."""
        for consumer in self._queues[queue]:
            consumer.resume(reason)

    def prefetch(self, queue: str) -> int:
        """The prefetch that a queue's consumers have, or are about to have."""
        plain = self._plain.get(queue)
        return PREFETCH if plain is None else plain.prefetch

    def set_prefetch(self, queue: str, prefetch: int) -> None:
        """Change a queue's prefetch: new consumers take over from the old ones. A partition has one
        message at a time, whatever is wished.
        """
        plain = self._plain.get(queue)
        if plain is not None:
            plain.set_prefetch(prefetch)

    def at_once(self, queue: str) -> int:
        """The prefetch that a queue's suspects have, or are about to have; 1 at first."""
        return self._suspects[queue].prefetch

    def set_at_once(self, queue: str, prefetch: int) -> None:
        """Change it; 0: no consumer, and `WorkerHandler.suspects_stopped` is called then."""
        self._suspects[queue].set_prefetch(prefetch)

    # ── partitions ────────────────────────────────────────────────────────────────────────────

    def halts(self, partition: str) -> bool:
        """True while a partition is paused, by itself or with its queue."""
        return self._partitions[partition].halted

    def look_again(self, partition: str) -> None:
        """A partition's task has ended: its consumer may end, if it is to."""
        self._partitions[partition].look_again()

    def offer(self, partition: str) -> None:
        """End a partition's consumer, and begin another one behind those of other workers."""
        self._partitions[partition].offer()

    def serves(self, partition: str) -> bool:
        """True while a partition has a consumer here, which would be given what is given back."""
        return self._partitions[partition].active

    # ── from beginning to end ─────────────────────────────────────────────────────────────────

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
        for consumer in self._consumers:
            consumer.stop()
        await self._end([one for one in self._serving if not one.busy()])

    async def _end(self, those: Iterable[QueueConsumer], timeout: float | None = None) -> None:
        """Let these be served no more; cut off where the broker does not answer."""
        tasks = [self._serving.pop(one) for one in list(those)]
        if tasks:
            await asyncio.wait(tasks, timeout=self._stop_timeout if timeout is None else timeout)
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
        for consumer in self._consumers:
            if consumer.channel is not None and consumer.channel.is_open:
                with contextlib.suppress(ChannelClosed, TimeoutError):
                    await asyncio.wait_for(consumer.channel.synced(), self._stop_timeout)
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
            for queue, (consumer, *_) in self._queues.items():
                tell_of_timeout(queue, consumer.timeout, self.server)
        else:
            _log.info("connected again to %s", self._connector.label)
        self.connected.set()
        await self.may_start.wait()
        if self._companion is not None:
            await self._companion.known()
        if self._stop.is_set():
            return
        self._serving = {
            consumer: loop.create_task(
                self._serve(link, consumer), name=f"rmqwork-consume-{consumer.name}"
            )
            for consumer in self._consumers
        }
        await lost.wait()
        await self._end(self._serving, timeout=0.0)
        self._link = None
        raise BrokerUnavailable(f"the connection was lost: {'; '.join(reasons)}; reconnecting")

    async def _serve(self, link: Link, consumer: QueueConsumer) -> None:
        """Keep one queue consumed while its connection stands."""
        attempt = 0
        while not self._over(link):
            try:
                if attempt:
                    await link.declare(self._plan)
                await consumer.serve(link)
            except Exception as error:  # whatever it is, a queue must not be left unserved
                if self._over(link):
                    return
                _log.log(
                    logging.ERROR if attempt < _PATIENT else logging.DEBUG,
                    "queue %r cannot be consumed: %s; trying again",
                    consumer.name,
                    error,
                )
                attempt += 1
                await self._clock.sleep(backoff(attempt))

    def _over(self, link: Link) -> bool:
        return self._stop.is_set() or not link.is_open
