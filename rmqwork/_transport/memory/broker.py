"""The broker itself: one lock, its exchanges, its queues, its links, its timers."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rmqwork._transport.memory.clock import Clock, ManualClock, RealClock
from rmqwork._transport.memory.dead_lettering import DeadLettering
from rmqwork._transport.memory.exchanges import NO_ROUTE, Exchanges
from rmqwork._transport.memory.faults import Faults
from rmqwork._transport.memory.message import Entry, Message, shifted
from rmqwork._transport.memory.queues import MemoryQueue
from rmqwork._transport.memory.ticker import Ticker
from rmqwork._transport.port import ChannelClosed
from rmqwork.types import Publication, Verdict


class Peer(Protocol):
    """A connection, as far as the broker is concerned."""

    def tell_blocked(self, blocked: bool) -> None:
        """The broker blocks or unblocks publishers."""

    def drop(self, reason: str) -> None:
        """End it unasked."""


class MemoryBroker:
    """A broker in this process; any thread and any event loop may use it.

    Args:
        name: in its address, ``memory://name``.
        clock: the real one unless a `ManualClock` is given.
    """

    def __init__(self, name: str = "", clock: Clock | None = None) -> None:
        self.name = name
        self.clock = clock or RealClock()
        self.faults = Faults()
        self.exchanges = Exchanges()
        self.queues: dict[str, MemoryQueue] = {}
        self.links: set[Peer] = set()
        self.blocks_publishers = False
        self.refused_users: set[str] = set()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._dead_lettering = DeadLettering(self)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._ticker = Ticker(self)
        self._dirty: dict[MemoryQueue, None] = {}
        self._depth = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"memory://{self.name}"

    # ── the lock, and what happens when it is given up ────────────────────────────────────────

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Do something to the broker: alone, after what is due, and with its consequences."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._run_due()
                yield
            finally:
                if self._depth == 1:
                    self._serve_all()
                self._depth -= 1
                if not self._depth:
                    self._changed.notify_all()
                    if self.clock.moves and self._timers:
                        self._ticker.wake_at(self._timers[0][0])

    def wait_until(self, holds: Callable[[], bool], timeout: float) -> bool:
        """Wait until something holds, looking at it after each change; false when it does not.

        Args:
            holds: is called with the broker's lock held.
            timeout: seconds.
        """
        with self._changed:
            return self._changed.wait_for(holds, timeout)

    def touched(self, queue: MemoryQueue) -> None:
        """A queue may have something to hand out."""
        self._dirty[queue] = None

    def _serve_all(self) -> None:
        while self._dirty:
            queue, _ = self._dirty.popitem()
            queue.serve()

    # ── time ──────────────────────────────────────────────────────────────────────────────────

    def now(self) -> float:
        """The time by the broker's clock."""
        return self.clock.now()

    def wall(self) -> float:
        """The time since the epoch, as far as the broker is concerned."""
        return time.time() + self.clock.ahead

    def later(self, moment: float, call: Callable[[], None]) -> None:
        """Have something called when the broker's clock says ``moment``."""
        heapq.heappush(self._timers, (moment, next(self._numbers), call))

    def _run_due(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            _, _, call = heapq.heappop(self._timers)
            call()

    def tick(self) -> float | None:
        """Do what is due; returns when the next thing is."""
        with self.at_work():
            pass
        with self._lock:
            return self._timers[0][0] if self._timers else None

    def next_due(self) -> float | None:
        """Seconds until the next message's time in its queue is over; None when there is none."""
        with self._lock:
            due = [moment for queue in self.queues.values() for moment in queue.expiries()]
            return max(0.0, min(due) - self.now()) if due else None

    def advance(self, seconds: float) -> None:
        """Move the clock; all that becomes due on the way happens at its time, in order.

        Raises:
            TypeError: it goes by itself.
        """
        clock = self.clock
        if not isinstance(clock, ManualClock):
            raise TypeError(f"the clock of {self.url} goes by itself; make it with ManualClock()")
        with self._lock:
            end = clock.now() + seconds
            while self._timers and self._timers[0][0] <= end:
                clock.move_to(self._timers[0][0])
                with self.at_work():
                    pass
            clock.move_to(end)
            with self.at_work():
                pass

    def expire_later(self, queue: MemoryQueue, entry: Entry) -> None:
        """See `rmqwork._transport.memory.queues.Owner`."""
        assert entry.expires is not None
        self.later(entry.expires, lambda: queue.expire(entry))

    # ── messages ──────────────────────────────────────────────────────────────────────────────

    def publish(self, publication: Publication) -> tuple[Verdict, str]:
        """Route a message, as a publisher with confirms sees it.

        Raises:
            ChannelClosed: there is no such exchange.
        """
        with self.at_work():
            message = Message(shifted(publication, self.clock.ahead))
            targets = self.targets(message)
            if not targets:
                return Verdict.RETURNED, NO_ROUTE
            taken = [self.put(queue, message) for queue in targets]
            if all(taken):
                return Verdict.CONFIRMED, ""
            return Verdict.NACKED, "refused by the queue"

    def targets(self, message: Message) -> list[MemoryQueue]:
        """The queues that a message is for.

        Raises:
            ChannelClosed: there is no such exchange.
        """
        names = self.exchanges.route(message)
        return [self.queues[name] for name in names if name in self.queues]

    def put(self, queue: MemoryQueue, message: Message) -> bool:
        """Put a message into a queue; false when it refuses."""
        if not queue.accepts(message):
            return False
        queue.put(message, self.now())
        self.touched(queue)
        return True

    def dead_letter(self, queue: MemoryQueue, message: Message, reason: str) -> None:
        """See `rmqwork._transport.memory.queues.Owner`."""
        self._dead_lettering.dead_letter(queue, message, reason)

    # ── queues and links ──────────────────────────────────────────────────────────────────────

    def find(self, name: str) -> MemoryQueue:
        """A queue.

        Raises:
            ChannelClosed: there is none.
        """
        found = self.queues.get(name)
        if found is None:
            raise ChannelClosed(404, f"NOT_FOUND - no queue '{name}' in vhost '/'")
        return found

    def delete_queue(self, name: str) -> None:
        """Delete a queue with what it holds; its consumers are cancelled."""
        with self.at_work():
            queue = self.queues.pop(name, None)
            if queue is None:
                return
            queue.deleted = True
            queue.purge()
            self.exchanges.forget_queue(name)
            consumers = list(queue.consumers)
            queue.consumers.clear()
            for consumer in consumers:
                consumer.cancelled()

    def block_publishers(self, blocked: bool) -> None:
        """Behave as with a memory or disk alarm: publishers are held back."""
        with self.at_work():
            self.blocks_publishers = blocked
            for link in list(self.links):
                link.tell_blocked(blocked)

    def refuse_user(self, user: str) -> None:
        """Let nobody connect as this user."""
        self.refused_users.add(user)

    def drop_connections(self, reason: str = "CONNECTION_FORCED (320)") -> None:
        """End all connections, as a broker that restarts does."""
        with self.at_work():
            for link in list(self.links):
                link.drop(reason)

    def reset(self) -> None:
        """End all connections and forget everything."""
        with self.at_work():
            self.drop_connections()
            for name in list(self.queues):
                self.delete_queue(name)
            self.exchanges.clear()
            self._timers.clear()
            self._dirty.clear()
