"""Join groups: consume the shards, and carry out what their state machines say.

A worker begins with that when it has seen a group, or finds that the shards exist: a worker of an
app without groups makes neither the queues nor a connection for them. The connection is one of its
own; of all workers, the broker serves one for each shard (`rmqwork._workflows.join`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from time import time
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._messages.ids import uuid7
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._publisher.until_confirmed import Remaining, UntilConfirmed
from rmqwork._topology import join_queues
from rmqwork._transport.port import Connector, ConsumeChannel
from rmqwork._transport.reconnecting import backoff
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.consume.queues import plain_queue
from rmqwork._worker.joins.join_outcomes import dead_letter, of_end
from rmqwork._worker.model.consumed import Consumed
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.policy.unconfirmed import remaining
from rmqwork._worker.settle.replies import FailureWriter
from rmqwork._workflows import join_messages
from rmqwork._workflows.join import (
    Abandon,
    Ack,
    Complete,
    Effect,
    Fail,
    Gathering,
    PublishDone,
    PublishFence,
    Shard,
    join_message_of,
)
from rmqwork.types import Delivery, Publication, Reason

_log = logging.getLogger("rmqwork.worker.settling")
_HELLO: Final = "rmqwork.join.hello"
"""The ``type`` of a message that only asks whether there is a shard to take it."""
_FIRST_LOOK: Final = 0.5
_CHECK_INTERVAL: Final = 60.0
_TICK: Final = 1.0
_CLOSE_TIMEOUT: Final = 2.0
_PATIENT: Final = 6


class _Following:
    """What follows from the end of a join, until it is confirmed and the join goes on."""

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def confirmed(self) -> None:
        """Go on."""
        self._then()

    def refused(self, rest: Remaining) -> None:
        """Keep the join's messages."""
        _log.error("a join keeps its messages, what follows is not taken: %s", rest.errors[0])

    def again(self, rest: tuple[Publication, ...]) -> bool:
        """Try for as long as it takes."""
        return True


class Joiner:
    """Joins groups for whoever has made them.

    Args:
        plan: of the worker.
        connector: where connections come from.
        publisher: of the worker.
        kept: writes failures into the store.
        may_start: set when the worker takes tasks: joins are not on the way to its first one.
        repair: declares the app's topology again, when what follows has nowhere to go.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        connector: Connector,
        publisher: Publisher,
        kept: FailureWriter,
        may_start: asyncio.Event,
        repair: Callable[[], Awaitable[None]],
    ) -> None:
        self._plan = plan
        self._ttl = plan.manifest.settings.join_ttl
        self._connector = connector
        self._publisher = publisher
        self._publishing = UntilConfirmed(publisher, remaining, repair)
        self._kept = kept
        self._loop = asyncio.get_running_loop()
        self._shards: dict[str, Shard[Delivery]] = {}
        self._channels: dict[str, object] = {}
        self._consumption: ConsumerConnection | None = None
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._spawn(self._look(may_start))

    @property
    def queues(self) -> Sequence[str]:
        """The shards, once they are consumed here."""
        return () if self._consumption is None else join_queues.names()

    @property
    def busy(self) -> bool:
        """Whether the end of a join is under way."""
        return any(shard.busy for shard in self._shards.values())

    @property
    def open(self) -> int:
        """Joins that this worker gathers the parts of."""
        return sum(shard.open for shard in self._shards.values())

    def summary(self) -> list[Gathering]:
        """They, the oldest first."""
        found = [one for shard in self._shards.values() for one in shard.summary()]
        return sorted(found, key=lambda one: one.born)

    # ── when to begin ─────────────────────────────────────────────────────────────────────────

    def saw(self, publications: Iterable[Publication]) -> None:
        """This worker publishes these: if there is something of a join among them, it joins."""
        if self._consumption is None and any(one.type == join_queues.TYPE for one in publications):
            self.begin()

    def begin(self) -> None:
        """Consume the shards from now on."""
        if self._consumption is not None or self._closed:
            return
        self._consumption = ConsumerConnection(
            self._connector,
            join_queues.plan(),
            [
                plain_queue(Consumed(name, (name,), join_queues.PREFETCH), self)
                for name in join_queues.names()
            ],
            f"rmqwork worker {self._plan.name} (joins)",
        )
        self._consumption.start()
        self._spawn(self._consume(self._consumption))
        self._spawn(self._tick())

    async def _look(self, may_start: asyncio.Event) -> None:
        """Find out now and then whether others have made the shards."""
        await may_start.wait()
        wait = _FIRST_LOOK
        while self._consumption is None and not self._closed:
            await asyncio.sleep(wait)
            wait = _CHECK_INTERVAL
            # A passive declare would be an error in the broker's log; this is merely returned.
            headers = {names.JOIN: join_messages.Kind.FENCE.value}
            name = join_queues.names()[0]
            look = Publication("", name, b"{}", uuid7(), _HELLO, headers)
            batch = Batch([look], _CHECK_INTERVAL, best_effort=True)
            self._publisher.submit(batch)
            with contextlib.suppress(Exception):
                if await asyncio.wrap_future(batch.future) == [None]:
                    self.begin()

    async def _consume(self, consumption: ConsumerConnection) -> None:
        while not self._closed:
            try:
                await consumption.run()
            except Exception as error:
                _log.error("groups cannot be joined here: %s; trying again", error)
                await asyncio.sleep(backoff(_PATIENT))

    # ── messages of shards ────────────────────────────────────────────────────────────────────

    def delivered(self, queue: str, delivery: Delivery) -> None:
        """A message of a shard has come; see `rmqwork._worker.consume.ports.DeliveryHandler`."""
        self._channels[queue] = delivery.channel
        shard = self._shards.get(queue)
        if shard is None:
            shard = self._shards[queue] = Shard(self._ttl, _names())
        try:
            told = join_message_of(delivery, time(), self._plan.manifest.settings.max_message_size)
        except ValueError as error:
            letter = dead_letter(
                delivery, Reason.INVALID_MESSAGE, "InvalidMessage", str(error), self._plan.name
            )
            _log.error("a message in %s is none of a join: %s", queue, error)
            self._publish((letter,), lambda: self._ack([delivery]))
            return
        self._perform(queue, shard, shard.received(told, delivery))

    def channel_lost(self, channel: ConsumeChannel) -> None:
        """See `rmqwork._worker.consume.ports.DeliveryHandler`."""
        for queue, known in self._channels.items():
            if known is channel:
                self._shards[queue].lost()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = time()
            for queue, shard in list(self._shards.items()):
                self._perform(queue, shard, shard.elapsed(now))

    # ── effects ───────────────────────────────────────────────────────────────────────────────

    def _perform(
        self, queue: str, shard: Shard[Delivery], effects: Iterable[Effect[Delivery]]
    ) -> None:
        for effect in effects:
            match effect:
                case Ack(tokens):
                    self._ack(tokens)
                case PublishFence(name):
                    self._publish((join_messages.fence(queue, name, time()),), lambda: None)
                case PublishDone(join):
                    self._mark(queue, shard, join)
                case Complete() | Fail() | Abandon():
                    self._end(queue, shard, effect)

    def _ack(self, tokens: Iterable[Delivery]) -> None:
        for delivery in tokens:
            if delivery.channel.is_open:
                delivery.channel.ack(delivery)

    def _mark(self, queue: str, shard: Shard[Delivery], join: str) -> None:
        def marked() -> None:
            self._perform(queue, shard, shard.marked(join))

        self._publish((join_messages.done(queue, join, time()),), marked)

    def _end(
        self,
        queue: str,
        shard: Shard[Delivery],
        effect: Complete | Fail | Abandon[Delivery],
    ) -> None:
        """Publish what follows from a join's end, and then that it has come to it."""
        join = effect.join

        def followed() -> None:
            self._perform(queue, shard, shard.followed(join))

        found = of_end(effect, time(), self._ttl, self._plan.name)
        if found.problem:
            _log.warning("group %s fails: %s", join, found.problem)
        if found.failures and self._kept.wanted:
            writing = self._kept.keep(found.failures, found.runs)
            writing.add_done_callback(lambda _: self._publish(found.publications, followed))
        else:
            self._publish(found.publications, followed)

    def _publish(self, publications: tuple[Publication, ...], then: Callable[[], None]) -> None:
        """Publish until all is confirmed, then go on."""
        if not publications:
            then()
            return
        self._publishing.publish(publications, _Following(then))

    # ── the end ───────────────────────────────────────────────────────────────────────────────

    async def close(self) -> None:
        """Consume no more, finish what is being published, hand everything back."""
        self._closed = True
        if self._consumption is not None:
            await self._consumption.stop()
            end = self._loop.time() + _CLOSE_TIMEOUT
            while self.busy and self._loop.time() < end:
                await asyncio.sleep(0.01)
            held = [one for shard in self._shards.values() for one in shard.release()]
            for delivery in sorted(held, key=lambda one: (one.queue, one.tag)):
                if delivery.channel.is_open:
                    delivery.channel.nack(delivery)
            await self._consumption.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _names() -> Iterator[str]:
    while True:
        yield uuid7()
