"""Looking at the queues and at the ledger while the workers work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rmqwork._cli.demo.ledger import LedgerReader, Tally
from rmqwork._topology.topology import dead_letter_queue
from rmqwork._transport.port import Link


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
    """What is known of the messages since it was made.

    Args:
        link: to ask the broker.
        reader: of the ledger.
        queues: the ones to watch.
    """

    def __init__(self, link: Link, reader: LedgerReader, queues: Sequence[str]) -> None:
        self._link = link
        self._reader = reader
        self._dead_before = dict.fromkeys(queues, 0)
        self.tally = Tally(queues)

    async def begin(self) -> None:
        """Note what lies in the dead-letter queues before anything is published."""
        for queue in self._dead_before:
            self._dead_before[queue] = await self._depth(dead_letter_queue(queue))

    async def look(self, published: Mapping[str, int]) -> list[View]:
        """All queues, now; ``published`` is how many messages went to each."""
        self.tally.add(self._reader.read())
        return [await self._view(queue, count) for queue, count in published.items()]

    async def _view(self, queue: str, published: int) -> View:
        tally = self.tally.queues[queue]
        return View(
            queue=queue,
            published=published,
            done=len(tally.done),
            dead=await self._depth(dead_letter_queue(queue)) - self._dead_before[queue],
            retries=tally.retries,
            waiting=await self._depth(queue),
        )

    async def _depth(self, queue: str) -> int:
        depth = await self._link.depth(queue)
        return 0 if depth is None else depth.messages
