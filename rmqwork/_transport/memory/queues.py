"""Queues: what waits, in which order, who is served next, and what is refused.

The rules are those of RabbitMQ 4.3, measured: a quorum queue has 32 strict priorities (4 without
one), gives back what was returned to it before anything else and in the order of the returns,
counts failures, and learns a publish late that it is full; a classic queue puts what was returned
back where it was, counts nothing, and is exact.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from rmqwork._transport.memory.message import Entry, Message

_HIGHEST: Final = 31
_DEFAULT: Final = 4
_ROOM_AGAIN: Final = 0.8
"""The share of its limit below which a quorum queue takes messages again (rabbit_fifo)."""


class Receiver(Protocol):
    """A channel that deliveries are handed to."""

    def hand(self, queue: MemoryQueue, entry: Entry, consumer: Consumer | None) -> None:
        """Take a message; it is unacked from now on."""


@dataclass(slots=True, eq=False)
class Consumer:
    """Who is served by a queue.

    Args:
        channel: takes the deliveries.
        tag: of the consumer.
        prefetch: unsettled deliveries at most; 0 = any number.
        priority: a higher one is served first (``x-priority``).
        cancelled: called when the broker ends it.
    """

    channel: Receiver
    tag: str
    prefetch: int
    priority: int
    cancelled: Callable[[], None]
    unacked: int = 0

    @property
    def has_room(self) -> bool:
        """Whether it may be served now."""
        return not self.prefetch or self.unacked < self.prefetch


class Owner(Protocol):
    """The broker, as far as a queue is concerned."""

    def dead_letter(self, queue: MemoryQueue, message: Message, reason: str) -> None:
        """A message leaves the queue for its dead-letter exchange."""

    def expire_later(self, queue: MemoryQueue, entry: Entry) -> None:
        """Call `MemoryQueue.expire` when the entry's time is over."""


class MemoryQueue:
    """A durable queue.

    Args:
        name: of the queue.
        arguments: of its declaration.
        owner: the broker.
    """

    def __init__(self, name: str, arguments: Mapping[str, object], owner: Owner) -> None:
        self.name = name
        self.arguments = {"x-queue-type": "classic", **arguments}
        self.owner = owner
        self.quorum = self.arguments["x-queue-type"] == "quorum"
        self.deleted = False
        self.consumers: deque[Consumer] = deque()
        self.unacked: set[Entry] = set()
        self._heap: list[tuple[tuple[int, int, int], Entry]] = []
        self._numbers = itertools.count()
        self._ready = 0
        self._bytes = 0
        self._refuses = False
        ttl = self._number("x-message-ttl")
        self.ttl = None if ttl is None else ttl / 1000
        self._most = self._number("x-max-length")
        self._most_bytes = self._number("x-max-length-bytes")
        self._priorities = self._number("x-max-priority") or 0
        limit = self._number("x-delivery-limit")
        self._limit = 20 if limit is None else limit

    def _number(self, name: str) -> int | None:
        value = self.arguments.get(name)
        return value if isinstance(value, int) else None

    def _text(self, name: str) -> str | None:
        value = self.arguments.get(name)
        return value if isinstance(value, str) else None

    def __len__(self) -> int:
        return self._ready

    @property
    def dead_letter_exchange(self) -> str | None:
        """Where its dead letters go."""
        return self._text("x-dead-letter-exchange")

    @property
    def dead_letter_routing_key(self) -> str | None:
        """By which key; None = their own."""
        return self._text("x-dead-letter-routing-key")

    @property
    def _rejects_publishes(self) -> bool:
        return self._text("x-overflow") in ("reject-publish", "reject-publish-dlx")

    @property
    def at_least_once(self) -> bool:
        """Whether dead letters stay until their targets have confirmed them."""
        strategy = self._text("x-dead-letter-strategy")
        return self.quorum and strategy == "at-least-once" and self._rejects_publishes

    @property
    def single(self) -> bool:
        """Whether one consumer is served at a time."""
        return self.arguments.get("x-single-active-consumer") is True

    def waiting(self) -> list[Entry]:
        """All ready entries, in the order in which they will be delivered."""
        return [entry for _, entry in sorted(self._heap, key=lambda item: item[0]) if entry.ready]

    def expiries(self) -> Iterator[float]:
        """When the ready messages expire, if they do."""
        return (e.expires for _, e in self._heap if e.ready and e.expires is not None)

    def attach(self, consumer: Consumer, arguments: Mapping[str, object]) -> None:
        """A consumer begins."""
        self.consumers.append(consumer)

    def headers_of(self, entry: Entry) -> dict[str, object]:
        """Headers that its kind of queue adds to a delivery."""
        return {}

    # ── messages come in ──────────────────────────────────────────────────────────────────────

    def accepts(self, message: Message) -> bool:
        """Whether a publish is taken now."""
        if not self._rejects_publishes or (self._most is None and self._most_bytes is None):
            return True
        if self.quorum:
            if self._refuses and self._below(_ROOM_AGAIN):
                self._refuses = False
            return not self._refuses
        most_bytes = self._most_bytes
        return (self._most is None or self._ready < self._most) and (
            most_bytes is None or self._bytes + message.size <= most_bytes
        )

    def _below(self, share: float) -> bool:
        """Whether it holds at most this share of its limits."""
        return (self._most is None or self._ready <= int(self._most * share)) and (
            self._most_bytes is None or self._bytes <= int(self._most_bytes * share)
        )

    def put(self, message: Message, now: float) -> None:
        """Put a message at its place."""
        entry = Entry(message, next(self._numbers))
        entry.redelivered = message.acquired > 0
        if self.quorum:
            entry.failures = message.failures  # 4.3 goes on counting, and its limit counts them
        if self.ttl is not None:
            entry.expires = now + self.ttl
        self._push((1, -self._band(message), entry.number), entry)
        self._keep_within()

    def _band(self, message: Message) -> int:
        priority = message.content.priority
        if self.quorum:
            return _DEFAULT if priority is None else min(priority, _HIGHEST)
        return min(priority or 0, self._priorities)

    def _push(self, key: tuple[int, int, int], entry: Entry) -> None:
        entry.ready = True
        heapq.heappush(self._heap, (key, entry))
        self._ready += 1
        self._bytes += entry.message.size
        if entry.expires is not None:
            self.owner.expire_later(self, entry)

    def _keep_within(self) -> None:
        """See to the length limits after a message has come."""
        if self._most is None and self._most_bytes is None:
            return
        if self._rejects_publishes:
            self._refuses = not self._below(1.0) or self._refuses
            return
        while self._ready and not self._below(1.0):
            entry = self._pop()
            self.owner.dead_letter(self, _left(entry), "maxlen")

    # ── messages go out ───────────────────────────────────────────────────────────────────────

    def _pop(self) -> Entry:
        while True:
            _, entry = heapq.heappop(self._heap)
            if entry.ready:
                self._leave(entry)
                return entry

    def _leave(self, entry: Entry) -> None:
        entry.ready = False
        self._ready -= 1
        self._bytes -= entry.message.size
        if not self._ready:
            self._heap.clear()

    def serve(self) -> None:
        """Hand out what can be handed out."""
        while self._ready:
            consumer = self._next_consumer()
            if consumer is None:
                return
            consumer.unacked += 1
            consumer.channel.hand(self, self._take(), consumer)

    def _take(self) -> Entry:
        entry = self._pop()
        self.unacked.add(entry)
        return entry

    def take(self) -> Entry | None:
        """The next message, for ``basic.get``."""
        return self._take() if self._ready else None

    def _next_consumer(self) -> Consumer | None:
        if self.single:
            first = self.consumers[0] if self.consumers else None
            return first if first is not None and first.has_room else None
        with_room = [consumer for consumer in self.consumers if consumer.has_room]
        if not with_room:
            return None
        best = max(with_room, key=lambda consumer: consumer.priority)
        self.consumers.remove(best)
        self.consumers.append(best)
        return best

    # ── settlements ───────────────────────────────────────────────────────────────────────────

    def done(self, entry: Entry) -> None:
        """It is acked."""
        self.unacked.discard(entry)

    def give_back(self, entry: Entry, now: float, *, failed: bool) -> None:
        """It comes back: to the front (quorum), or to where it was (classic).

        Args:
            entry: which.
            now: by the broker's clock.
            failed: whether it counts as a failure.
        """
        if entry not in self.unacked or self.deleted:
            return
        self.unacked.discard(entry)
        entry.redelivered = True
        if self.quorum:
            entry.acquired += 1
            entry.failures += failed
            if failed and 0 <= self._limit < entry.failures:
                self.owner.dead_letter(self, _left(entry), "delivery_limit")
                return
            key = (0, 0, next(self._numbers))
        else:
            key = (1, -self._band(entry.message), entry.number)
        if entry.expires is not None and entry.expires <= now:
            self.owner.dead_letter(self, _left(entry), "expired")
            return
        self._push(key, entry)

    def expire(self, entry: Entry) -> None:
        """Its time to live is over."""
        if entry.ready:
            self._leave(entry)
            self.owner.dead_letter(self, _left(entry), "expired")

    def purge(self) -> int:
        """Drop all that is ready; returns how many."""
        count = self._ready
        for _, entry in self._heap:
            entry.ready = False
        self._heap.clear()
        self._ready = self._bytes = 0
        return count


def _left(entry: Entry) -> Message:
    """The message as it leaves its queue: what was counted there goes with it."""
    message = entry.message
    if not entry.acquired:
        return message
    return replace(message, acquired=entry.acquired, failures=entry.failures)
