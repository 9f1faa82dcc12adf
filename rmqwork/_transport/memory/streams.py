"""Streams: every consumer reads all of it, from where it wants; nothing is taken away by reading.

What is left out: segments (RabbitMQ forgets the oldest segment at a time, here the oldest message),
and offsets by time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from rmqwork._transport.memory.message import Entry, Message
from rmqwork._transport.memory.queues import Consumer, MemoryQueue, Owner

OFFSET = "x-stream-offset"


class MemoryStream(MemoryQueue):
    """A stream.

    Args:
        name: of the stream.
        arguments: of its declaration.
        owner: the broker.
    """

    def __init__(self, name: str, arguments: Mapping[str, object], owner: Owner) -> None:
        super().__init__(name, arguments, owner)
        self._log: deque[Entry] = deque()
        self._next = 0
        self._size = 0
        self._offsets: dict[Consumer, int] = {}

    def attach(self, consumer: Consumer, arguments: Mapping[str, object]) -> None:
        """A consumer begins at the offset that it wants."""
        wanted = arguments.get(OFFSET, "next")
        first = self._log[0].number if self._log else self._next
        known = {"first": first, "last": max(first, self._next - 1), "next": self._next}
        at = wanted if isinstance(wanted, int) else known.get(str(wanted), self._next)
        self._offsets = {one: at for one, at in self._offsets.items() if one in self.consumers}
        self._offsets[consumer] = at
        super().attach(consumer, arguments)

    def headers_of(self, entry: Entry) -> dict[str, object]:
        """Where in the stream it is."""
        return {OFFSET: entry.number}

    def put(self, message: Message, now: float) -> None:
        """Append a message; the oldest go when there is no room."""
        self._log.append(Entry(message, self._next))
        self._next += 1
        self._size += message.size
        while self._most_bytes is not None and self._size > self._most_bytes:
            self._size -= self._log.popleft().message.size

    def serve(self) -> None:
        """Hand each consumer what it has not read, as far as it has room."""
        for consumer in list(self.consumers):
            at = self._offsets[consumer]
            first = self._log[0].number if self._log else self._next
            at = max(at, first)
            while consumer.has_room and at < self._next:
                consumer.unacked += 1
                entry = self._log[at - first]
                at += 1
                self._offsets[consumer] = at
                consumer.channel.hand(self, Entry(entry.message, entry.number), consumer)

    def take(self) -> Entry | None:
        """Nothing: a stream is not read by ``basic.get``."""
        return None

    def give_back(self, entry: Entry, now: float, *, failed: bool) -> None:
        """Nothing: it was never taken away."""
