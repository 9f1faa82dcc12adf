"""Replay dead letters: publish, wait for the confirm, then ack the dead letter.

Never the other way round, so that no kill loses a message. With a window of 1 (the default) the ack
of one letter is known to be done before the next one is published: a kill at any moment leaves at
most one message that is both replayed and still a dead letter, and so comes twice.

A round holds what it replays for a minute at most; what is not meant is handed back at once (on
RabbitMQ 4.3; with the rest on older ones, which count it), in the order of the queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rmqwork._admin.deadletters.confirmed_publish import Confirming
from rmqwork._admin.deadletters.duplicates import copy_key
from rmqwork._admin.deadletters.queue_names import home_of, place_of
from rmqwork._admin.deadletters.reading import reading_of, ready
from rmqwork._admin.deadletters.replay_message import replays_of, resent
from rmqwork._admin.deadletters.snapshot import QueueSnapshot, without_body
from rmqwork._messages.dead_letter import DeadLetter, dead_letter
from rmqwork._transport.port import Connector, Link
from rmqwork.errors import ConfigurationError
from rmqwork.types import Delivery, Publication

_ROUND_SECONDS: Final = 60.0
_ROUND_BYTES: Final = 32 << 20
_ROUND_LETTERS: Final = 10_000
_LAST_WORD: Final = 5.0
"""Seconds for what is on its way when the replay is cancelled."""

Progress = Callable[[int, int], None]
"""Told how many letters are done, and how many are to be."""
Rewrite = Callable[[Publication], Publication]
Takes = Callable[[DeadLetter], bool]


@dataclass(slots=True)
class Replayed:
    """What a replay came to; filled while it runs.

    Args:
        selected: letters that were meant, copies not counted.
        replayed: how many of them were published, confirmed, and removed.
        copies: further copies of these that were removed.
        refused: why letters stay where they are, and how many for each reason.
        unseen: letters that another reader had in its hands.
        targets: how many went (or, in a dry run, would go) to each queue.
    """

    selected: int = 0
    replayed: int = 0
    copies: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unseen: int = 0
    targets: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """How many letters were dealt with, one way or the other."""
        return self.replayed + self.refused.total()


@dataclass(frozen=True, slots=True)
class ReplaySpec:
    """How letters are replayed.

    Args:
        to: the queue; None = each where it failed.
        rate: at most so many a second; None = as fast as it goes.
        limit: at most so many; None = all.
        window: unconfirmed publications at once. 1 is safest: a kill doubles at most so many.
        dry_run: publish and remove nothing.
        rewrite: changes a publication before it goes.
    """

    to: str | None = None
    rate: float | None = None
    limit: int | None = None
    window: int = 1
    dry_run: bool = False
    rewrite: Rewrite | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and not self.rate > 0:
            raise ConfigurationError(f"rate is above 0 a second, not {self.rate}")
        if self.window < 1:
            raise ConfigurationError(f"window is at least 1, not {self.window}")


async def replay_all(
    connector: Connector,
    queues: Sequence[str],
    takes: Takes,
    order: ReplaySpec,
    report: Replayed,
    progress: Progress | None = None,
) -> None:
    """Replay what is meant in some queues, one queue after the other.

    Args:
        connector: of the broker.
        queues: as for `rmqwork.deadletters.read`.
        takes: whether a letter is meant: `Selection.takes`, say.
        order: how.
        report: filled as it goes, so that it is true also when this is cancelled.
        progress: told after each step.

    Raises:
        BrokerUnavailable, BrokerBlocked, PublishTimeout: the rest stays where it is.
        ConfigurationError: a queue cannot be read.
    """
    link = await connector.open("rmqwork dlq replay")
    try:
        run = _Run(link, takes, order, report, progress)
        for queue in queues:
            place = place_of(queue)
            async with reading_of(place, "what is not replayed stays"):
                await run.queue(place)
    finally:
        await link.close()


@dataclass(slots=True)
class _Kept:
    """One letter of a round, with all its copies."""

    key: int | None
    publication: Publication
    replays: int
    deliveries: list[Delivery]


class _Round:
    """What one reading of a queue gives to replay."""

    def __init__(self, place: str, takes: Takes, order: ReplaySpec, room: int) -> None:
        self._home = home_of(place)
        self._takes = takes
        self._order = order
        self._room = room
        self._bytes = 0
        self._by_key: dict[int, _Kept] = {}
        self._seen: set[int] = set()
        self._now = time.time()
        self.past: set[int] = set()
        """Keys of letters that this run is done with: what comes again has failed again."""
        self.kept: list[_Kept] = []
        self.targets: Counter[str] = Counter()
        self.selected = 0
        self.more = False
        """Whether another round is needed."""

    def arrived(self, delivery: Delivery) -> None:
        """Look at a letter, and keep it if it is meant and there is room."""
        letter = dead_letter(delivery, self._home)
        if not self._takes(letter):
            return
        key = copy_key(letter)
        if key is not None:
            if key in self.past:
                return
            if (kept := self._by_key.get(key)) is not None:
                self._add_copy(kept, letter, delivery)
                return
            if key in self._seen:
                return
            self._seen.add(key)
        if self.selected >= self._room:
            return
        self.selected += 1
        if self._order.dry_run:
            self.targets[_target(resent(letter, self._order.to, self._now))] += 1
            return
        if len(self.kept) >= _ROUND_LETTERS or self._bytes >= _ROUND_BYTES:
            self.more = True
            return
        self._keep(letter, delivery, key)

    def _keep(self, letter: DeadLetter, delivery: Delivery, key: int | None) -> None:
        publication = resent(letter, self._order.to, self._now)
        if self._order.rewrite is not None:
            publication = self._order.rewrite(publication)
        kept = _Kept(key, publication, replays_of(letter), [without_body(delivery)])
        self._bytes += len(letter.body)
        self.kept.append(kept)
        if key is not None:
            self._by_key[key] = kept

    def _add_copy(self, kept: _Kept, letter: DeadLetter, delivery: Delivery) -> None:
        kept.deliveries.append(without_body(delivery))
        replays = replays_of(letter)
        if replays > kept.replays:
            kept.replays = replays
            publication = resent(letter, self._order.to, self._now)
            rewrite = self._order.rewrite
            kept.publication = publication if rewrite is None else rewrite(publication)


class _Run:
    """One replay over one connection."""

    def __init__(
        self,
        link: Link,
        takes: Takes,
        order: ReplaySpec,
        report: Replayed,
        progress: Progress | None,
    ) -> None:
        self._link = link
        self._takes = takes
        self._order = order
        self._report = report
        self._progress = progress
        self._confirming = Confirming(link)
        self._past: set[int] = set()
        self._shut: dict[tuple[str, str], str] = {}
        """Routes that took nothing, and why."""
        self._next = 0.0
        size = order.window if order.rate is None else max(1, int(order.rate / 10))
        self._size = min(order.window, size)

    async def queue(self, place: str) -> None:
        """Replay what is meant in one queue: what waits there now, not what comes meanwhile."""
        report = self._report
        others = report.selected - report.done
        room = self._room()
        first = True
        while room > 0:
            depth = await ready(self._link, place)
            if depth is None or not depth.messages:
                return
            found = _Round(place, self._takes, self._order, room)
            found.past = self._past
            window = QueueSnapshot(self._link, place, found.arrived)
            try:
                await window.take(depth.messages)
                if first:
                    report.unseen += max(0, depth.messages - window.taken)
                    report.selected += found.selected
                    report.targets.update(found.targets)
                await self._round(found, window)
            finally:
                await window.close()
            first = False
            if not (found.kept and found.more):
                return
            room = report.selected - report.done - others

    def _room(self) -> int:
        limit = self._order.limit
        return 1 << 62 if limit is None else limit - self._report.selected

    async def _round(self, found: _Round, window: QueueSnapshot) -> None:
        await window.release([one for kept in found.kept for one in kept.deliveries])
        end = time.monotonic() + _ROUND_SECONDS
        for start in range(0, len(found.kept), self._size):
            if start and time.monotonic() > end:
                found.more = True
                return
            part = found.kept[start : start + self._size]
            await self._pace(len(part))
            await _unbroken(self._step(part, window))
            if self._progress is not None:
                self._progress(self._report.done, self._report.selected)

    async def _pace(self, count: int) -> None:
        if self._order.rate is None:
            return
        now = time.monotonic()
        await asyncio.sleep(max(0.0, self._next - now))
        self._next = max(self._next, now) + count / self._order.rate

    async def _step(self, part: Sequence[_Kept], window: QueueSnapshot) -> None:
        """Publish, confirm, ack: this order is the whole promise."""
        self._past.update(kept.key for kept in part if kept.key is not None)
        report = self._report
        shut = [self._shut.get(_route(kept)) for kept in part]
        report.refused.update(why for why in shut if why is not None)
        sent = [kept for kept, why in zip(part, shut, strict=True) if why is None]
        refusals = await self._confirming.publish([kept.publication for kept in sent])
        confirmed = [kept for kept, no in zip(sent, refusals, strict=True) if no is None]
        await window.settle([one for kept in confirmed for one in kept.deliveries])
        report.replayed += len(confirmed)
        report.copies += sum(len(kept.deliveries) - 1 for kept in confirmed)
        report.targets.update(_target(kept.publication) for kept in confirmed)
        for kept, no in zip(sent, refusals, strict=True):
            if no is not None:
                report.refused[no.why] += 1
                if no.route:
                    self._shut[_route(kept)] = no.why


def _route(kept: _Kept) -> tuple[str, str]:
    return kept.publication.exchange, kept.publication.routing_key


def _target(publication: Publication) -> str:
    if not publication.exchange:
        return publication.routing_key
    return f"{publication.exchange} / {publication.routing_key}"


async def _unbroken(step: Coroutine[Any, Any, None]) -> None:
    """Run a step to its end, also when the replay is cancelled meanwhile (Ctrl-C)."""
    task = asyncio.ensure_future(step)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_LAST_WORD)
        if task.done() and not task.cancelled():
            task.exception()
        raise
