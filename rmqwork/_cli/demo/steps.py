"""`Steps`: publish, watch until all is settled, look what became of every message."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from PIL import Image

from rmqwork._admin.deadletters.reading import aread
from rmqwork._cli.demo.app import HIGH, LOW, MakePortrait, app, ledger_path
from rmqwork._cli.demo.ledger import Balance, Ledger, balance
from rmqwork._cli.demo.load import Message
from rmqwork._cli.demo.setup import Setup, Worker
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._publisher.publisher_thread import ThreadedPublisher
from rmqwork._topology.topology import dead_letter_queue
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import Connector, Link

QUEUES: Final = (HIGH, LOW)
_CLOSE_TIMEOUT: Final = 5.0  # seconds
_LOOK_INTERVAL: Final = 0.25  # seconds
_MIDDLE: Final = 0.4
"""The share of the low_priority messages after which the demo is in its middle."""


class Stalled(Exception):
    """Nothing moves any more."""


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


@dataclass(frozen=True, slots=True)
class Played:
    """The outcome of a demo.

    Args:
        balance: of the ledger and the dead-letter queues.
        letters: the dead letters of what was published.
        retries: runs that ended in another try.
        whole: thumbnails on disk that can be opened.
        departures: how the workers left, a line each.
        seconds: from the first publish to the last settled message.
    """

    balance: Balance
    letters: Sequence[DeadLetter]
    retries: int
    whole: int
    departures: Sequence[str]
    seconds: float


def in_the_middle(views: Sequence[View]) -> bool:
    """True if 40 % of the messages of low_priority are settled."""
    low = next(view for view in views if view.queue == LOW)
    return low.settled >= _MIDDLE * low.published


class Steps:
    """What is done with one load, and what is known of its messages.

    Args:
        setup: where the demo runs.
        connector: to its broker.
        link: a connection, to ask for the depths of queues.
    """

    def __init__(self, setup: Setup, connector: Connector, link: Link) -> None:
        self._setup = setup
        self._connector = connector
        self._link = link
        self._ledger = Ledger(ledger_path(setup.thumbnails))
        self._dead_before: dict[str, int] = {}
        self.published: dict[str, str] = {}
        """The queue of each published id."""

    @classmethod
    @asynccontextmanager
    async def open(cls, setup: Setup) -> AsyncIterator[Steps]:
        """Connect, and note what lies in the dead-letter queues before anything is published."""
        connector = connect(setup.url.split(","))
        link = await connector.open("rmqwork demo")
        try:
            made = cls(setup, connector, link)
            made._dead_before = {queue: await made._dead(queue) for queue in QUEUES}
            yield made
        finally:
            await link.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish all; each is confirmed."""
        publisher = ThreadedPublisher(connect(self._setup.url.split(",")), app.topology(), app.name)
        app.use_publisher(publisher)
        try:
            results = await app.apublish_many(messages)
        finally:
            app.use_publisher(None)
            await asyncio.to_thread(publisher.close, _CLOSE_TIMEOUT)
        for result, message in zip(results, messages, strict=True):
            self.published[result.id] = HIGH if isinstance(message, MakePortrait) else LOW

    async def watch(
        self, workers: Sequence[Worker], patience: float = 60.0
    ) -> AsyncIterator[list[View]]:
        """Yield the queues, four times a second, until each message is settled.

        Args:
            workers: those that must run; the sequence may change meanwhile.
            patience: seconds without any progress, after which it is given up.

        Raises:
            WorkerFailed: one of them ended by itself.
            Stalled: nothing moves.
        """
        before: list[View] = []
        moved_at = time.monotonic()
        while True:
            views = await self._look()
            yield views
            if all(view.settled >= view.published for view in views):
                return
            for worker in workers:
                worker.check()
            if views != before:
                before, moved_at = views, time.monotonic()
            elif time.monotonic() - moved_at > patience:
                raise Stalled(
                    f"nothing has moved for {patience:g} s; the last that was seen: {views}"
                )
            await asyncio.sleep(_LOOK_INTERVAL)

    async def outcome(self, departures: Sequence[str], seconds: float) -> Played:
        """Look what became of every message.

        Args:
            departures: how the workers left, a line each.
            seconds: what it took until the last message was settled.
        """
        self._ledger.read()
        found = await aread(self._connector, QUEUES)
        letters = [letter for letter in found if letter.id in self.published]
        return Played(
            balance=balance(self.published, self._ledger, [letter.id or "" for letter in letters]),
            letters=letters,
            retries=self._ledger.retries.total(),
            whole=await asyncio.to_thread(self._whole),
            departures=departures,
            seconds=seconds,
        )

    async def _look(self) -> list[View]:
        self._ledger.read()
        counts = Counter(self.published.values())
        return [
            View(
                queue=queue,
                published=counts[queue],
                done=len(self._ledger.done[queue]),
                dead=await self._dead(queue) - self._dead_before[queue],
                retries=self._ledger.retries[queue],
                waiting=await self._depth(queue),
            )
            for queue in QUEUES
        ]

    async def _dead(self, queue: str) -> int:
        return await self._depth(dead_letter_queue(queue))

    async def _depth(self, queue: str) -> int:
        depth = await self._link.depth(queue)
        return 0 if depth is None else depth.messages

    def _whole(self) -> int:
        """Count the thumbnails that tasks say they made, and that can be opened."""
        whole = 0
        for name in self._ledger.names:
            path = self._setup.thumbnails / f"{name}.jpg"
            with suppress(OSError), Image.open(path) as image:
                image.load()
                whole += 1
        return whole
