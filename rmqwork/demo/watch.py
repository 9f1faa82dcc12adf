"""Looking at the queues and at the ledger while the workers work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rmqwork.demo.ledger import LedgerReader, Tally
from rmqwork.topology import dead_letter_queue
from rmqwork.transport.port import Link


@dataclass(frozen=True, slots=True)
class View:
    """One queue at one moment, in messages."""

    queue: str
    published: int
    done: int
    dead: int
    retries: int
    """Runs that ended in another try, so far."""
    waiting: int
    """Ready in the queue."""

    @property
    def elsewhere(self) -> int:
        """Running, prefetched by a worker, or waiting for its next try in the delay queues."""
        return max(0, self.published - self.done - self.dead - self.waiting)

    @property
    def settled(self) -> int:
        """At their end."""
        return self.done + self.dead


class Watcher:
    """What is known of the published messages.

    Args:
        link: to ask the broker.
        reader: of the ledger.
        published: the queue of each published id.
    """

    def __init__(self, link: Link, reader: LedgerReader, published: Mapping[str, str]) -> None:
        self._link = link
        self._reader = reader
        self._published = Counter(published.values())
        self.tally = Tally(self._published)

    async def look(self) -> list[View]:
        """All queues, now."""
        self.tally.add(self._reader.read())
        return [await self._view(queue, count) for queue, count in self._published.items()]

    async def _view(self, queue: str, published: int) -> View:
        tally = self.tally.queues[queue]
        return View(
            queue=queue,
            published=published,
            done=len(tally.done),
            dead=await self._depth(dead_letter_queue(queue)),
            retries=tally.retries,
            waiting=await self._depth(queue),
        )

    async def _depth(self, queue: str) -> int:
        depth = await self._link.depth(queue)
        return 0 if depth is None else depth.messages
