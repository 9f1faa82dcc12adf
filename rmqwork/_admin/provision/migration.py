"""Give a queue the properties that its app says, while publishers publish and workers work.

RabbitMQ cannot change a queue's arguments. So its messages wait in a queue beside it, while it is
deleted and made anew. In order, each step safe to be killed in and to be done again:

1. ``q.migrating`` is bound to all that ``q`` is bound to, and then ``q`` is unbound: each message
   is in one of them at least. It stays bound until the new ``q`` is: should somebody bind the old
   one again (a worker or publisher that connects declares the topology), nothing is in ``q`` alone.
2. What waits in ``q`` moves to ``q.migrating``; what workers hold, they finish.
3. When ``q`` holds nothing at all it is deleted and declared as the app says, with its bindings.
   Workers lose their consumer and begin again by themselves.
4. ``q.migrating`` is unbound, its messages move to ``q``, and it is deleted.

While both are bound, for some milliseconds in step 1 and for about a second in step 4 (a quorum
queue that was just made is not relied on alone), a message comes into both, and runs twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Final

from rmqwork._admin.management import Management, ManagementError
from rmqwork._admin.provision.found import Found, read_found
from rmqwork._admin.provision.moving import Interrupted, Mover
from rmqwork._admin.provision.planning import compare_queue
from rmqwork._topology.topology import Bind, Declaration, DeclareQueue
from rmqwork._transport.port import ChannelClosed, Link
from rmqwork.errors import ConfigurationError, RmqworkError, TopologyMismatch

SAMPLED: Final = 12.0
"""Seconds after which the counts of the management API are surely newer than now: two intervals of
its statistics (5 s by default), and some."""
_EMPTY_FOR: Final = 2.0
_LOOK: Final = 1.0
_ROUNDS: Final = 5


def waiting_room(queue: str) -> str:
    """The name of the queue in which messages wait meanwhile."""
    return f"{queue}.migrating"


class Phase(Enum):
    """What is to be done next, seen from what the broker has."""

    EMPTY_OLD = "empty the old queue"
    FILL_NEW = "fill the new queue"
    DONE = "nothing"


def phase(wanted: DeclareQueue, found: Found) -> Phase:
    """What is to be done next; the broker alone knows how far an earlier try has come."""
    there = found.queues.get(wanted.name)
    if there is not None and compare_queue(wanted, there):
        return Phase.EMPTY_OLD
    return Phase.FILL_NEW if waiting_room(wanted.name) in found.queues else Phase.DONE


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a migration waits.

    Args:
        workers: seconds for workers to finish what they hold of the old queue.
        sampled: seconds until the management API's counts are believed.
    """

    workers: float = 600.0
    sampled: float = SAMPLED


class Migration:
    """The migration of one queue.

    Args:
        queue: its name; it must be a queue of the app.
        declarations: all of the app.
        management: of the broker.
        vhost: the virtual host.
        taking: a connection that consumes.
        giving: a connection that publishes and declares.
        say: takes a line for people at each step.
        patience: how long to wait.
    """

    def __init__(
        self,
        queue: str,
        declarations: Sequence[Declaration],
        management: Management,
        vhost: str,
        taking: Link,
        giving: Link,
        say: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self._queue = queue
        self._room = waiting_room(queue)
        self._wanted = wanted_queue(queue, declarations)
        self._bindings = [
            one
            for one in declarations
            if isinstance(one, Bind) and one.destination == queue and not one.to_exchange
        ]
        self._management = management
        self._vhost = vhost
        self._taking = taking
        self._giving = giving
        self._say = say
        self._patience = patience or Patience()
        self.moved = 0
        """Messages that were moved from one queue to another; some of them twice."""

    async def run(self) -> None:
        """Do what is left to be done.

        Raises:
            Interrupted: a connection was lost; what was begun can be gone on with.
            RmqworkError: workers did not finish in time (all is as before), or the topology is
                not as it should be.
        """
        for _ in range(_ROUNDS):
            with self._interruptible():
                match phase(self._wanted, await self._look()):
                    case Phase.DONE:
                        self._say(f"{self._queue!r} is as the app says")
                        return
                    case Phase.EMPTY_OLD:
                        await self._empty_old()
                    case Phase.FILL_NEW:
                        await self._fill_new()
        raise RmqworkError(
            f"{self._queue!r} was made again by somebody else, {_ROUNDS} times, with other "
            "properties; stop the workers and publishers of the old version, and run it again"
        )

    async def undo(self) -> None:
        """Put the old queue back into service, with the messages that have waited.

        Safe to be killed in and to be done again.

        Raises:
            Interrupted: a connection was lost; what was begun can be gone on with.
            RmqworkError: it is too late: the old queue is deleted.
        """
        with self._interruptible():
            found = await self._look()
            if self._room not in found.queues:
                self._say(f"{self._queue!r} is in service: there is nothing to undo")
                return
            if self._queue not in found.queues:
                raise RmqworkError(
                    f"{self._queue!r} is deleted already; run it again without --undo to finish"
                )
            await self._giving.declare(self._sources(found, self._queue))
            await self._fill()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        try:
            yield
        except (ChannelClosed, ManagementError) as error:
            raise Interrupted(
                f"the migration of {self._queue!r} was interrupted: {error}; nothing is "
                "lost: run it again, it goes on where it was"
            ) from error

    # ── steps ─────────────────────────────────────────────────────────────────────────────────

    async def _empty_old(self) -> None:
        found = await self._look()
        had = found.queues[self._queue]
        self._say(f"{self._queue!r}: {had.messages} messages; new ones wait in {self._room!r}")
        room = DeclareQueue(self._room, {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000})
        await self._giving.declare([room])  # and wait; what is bound twice runs twice
        await self._giving.declare(self._sources(found, self._room))
        await self._unbind(self._queue)
        mover = await Mover.start(self._queue, self._room, self._taking, self._giving)
        try:
            empty = await self._until_empty(mover)
        finally:
            self.moved += mover.moved
        await mover.stop()
        if not empty:
            await self.undo()
            raise RmqworkError(
                f"workers still hold messages of {self._queue!r} after "
                f"{self._patience.workers:g} s; all is as before. Run it when no long task runs, "
                "or give it more time with --wait"
            )
        if phase(self._wanted, await self._look()) is Phase.EMPTY_OLD:
            await self._taking.delete_queue(self._queue)
            self._say(f"{self._queue!r}: empty, deleted, made anew")
        await self._fill_new()

    async def _fill_new(self) -> None:
        try:
            await self._giving.declare([self._wanted])
        except TopologyMismatch:
            self._say(f"{self._queue!r} was made by somebody else meanwhile; once more")
            return
        await self._giving.declare(self._bindings)
        await self._fill()

    async def _fill(self) -> None:
        """Move what has waited into the queue, which takes new messages already."""
        await self._unbind(self._room)
        mover = await Mover.start(self._room, self._queue, self._taking, self._giving)
        since = monotonic()
        while monotonic() - since < _EMPTY_FOR:
            mover.check()
            depth = await self._giving.depth(self._room)
            if mover.held or (depth is not None and depth.messages):
                since = monotonic()
            await asyncio.sleep(_EMPTY_FOR / 10)
        await mover.stop()
        self.moved += mover.moved
        self._say(f"{self._queue!r}: {mover.moved} messages that had waited are in it")
        await self._taking.delete_queue(self._room)

    async def _until_empty(self, mover: Mover) -> bool:
        """Wait until neither the queue nor anybody who reads it holds a message of it.

        Nothing comes into the queue by then, so that its count only falls: one that is newer than
        the last binding and says 0 is true for good.
        """
        began = monotonic()
        told = began
        while monotonic() - began < max(self._patience.workers, self._patience.sampled):
            mover.check()
            await asyncio.sleep(_LOOK)
            found = await self._look()
            if any(
                one.destination == self._queue and not one.to_exchange for one in found.bindings
            ):
                await self._unbind(self._queue)  # somebody has declared the topology
            had = found.queues.get(self._queue)
            left = 0 if had is None else had.messages
            fresh = monotonic() - began >= self._patience.sampled
            if fresh and not left and not mover.held:
                return True
            if monotonic() - told >= 10:
                told = monotonic()
                self._say(f"{self._queue!r}: workers hold {left} messages")
        return False

    # ── the broker ────────────────────────────────────────────────────────────────────────────

    def _sources(self, found: Found, queue: str) -> list[Bind]:
        """Bindings to a queue from all that leads to one of the two, or is to."""
        known: list[Bind] = []
        ours = {self._queue, self._room}
        for one in [*self._bindings, *found.bindings]:
            if one.destination in ours and not one.to_exchange:
                made = Bind(one.source, queue, one.routing_key, one.arguments)
                if made not in known:
                    known.append(made)
        return known

    async def _look(self) -> Found:
        return await asyncio.to_thread(read_found, self._management, self._vhost)

    async def _unbind(self, queue: str) -> None:
        await asyncio.to_thread(self._management.unbind, self._vhost, queue)


def wanted_queue(name: str, declarations: Sequence[Declaration]) -> DeclareQueue:
    """The declaration of a queue of an app.

    Raises:
        ConfigurationError: the app has no such queue, or it is not one that can be migrated.
    """
    for one in declarations:
        if isinstance(one, DeclareQueue) and one.name == name:
            return one
    known = ", ".join(one.name for one in declarations if isinstance(one, DeclareQueue))
    raise ConfigurationError(f"the app has no queue {name!r}; it has {known}")
