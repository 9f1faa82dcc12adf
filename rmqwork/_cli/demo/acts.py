"""The acts: draw, publish, watch until all is settled, draw up the ledger."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from PIL import Image

from rmqwork._admin.deadletters.reading import aread
from rmqwork._cli.demo.app import MakePortrait, app, ledger_path
from rmqwork._cli.demo.ledger import LedgerReader, balance
from rmqwork._cli.demo.load import Load, prepare
from rmqwork._cli.demo.stage import Played, Stage
from rmqwork._cli.demo.watch import View, Watcher
from rmqwork._cli.demo.workers import Departure, Worker
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._publisher.publisher_thread import ThreadedPublisher
from rmqwork._transport.connecting import connect

HIGH: Final = "high_priority"
LOW: Final = "low_priority"
_CLOSE: Final = 5.0  # seconds
_LOOK_EVERY: Final = 0.25  # seconds
_STALLED: Final = 60.0  # seconds without any progress
_MIDDLE: Final = 0.4
"""The share of the low_priority messages after which the play is in its middle."""

Condition = Callable[[Sequence[View]], bool]
Watch = Callable[[Condition, Sequence[Worker]], Awaitable[None]]
"""Waits for a condition, with an eye on some workers."""
Work = Callable[[Stage, Watch], Awaitable[list[Departure]]]
"""Has the messages worked off; returns how its workers left."""


class Stalled(Exception):
    """Nothing has moved for a minute."""


def in_the_middle(views: Sequence[View]) -> bool:
    """Whether 40 % of the messages of low_priority are settled."""
    low = next(view for view in views if view.queue == LOW)
    return low.settled >= _MIDDLE * low.published


def all_settled(views: Sequence[View]) -> bool:
    """Whether every message is."""
    return all(view.settled >= view.published for view in views)


def draw(stage: Stage, count: int) -> Load:
    """Draw the images and write the messages about them."""
    started = time.monotonic()
    with stage.screen.drawing(count) as drawn:
        load = prepare(count, stage.images, stage.source_url, drawn)
    seconds = time.monotonic() - started
    stage.screen.say(
        f"drew {count:,} images, {load.bytes / 1e6:,.0f} MB, in {seconds:.1f} s; "
        f"{load.dead} are broken or out of reach, and {load.retries} tries will be in vain"
    )
    return load


async def play(stage: Stage, load: Load, work: Work) -> Played:
    """Publish the load, have it worked off, and look what became of every message."""
    connector = connect(stage.url.split(","))
    link = await connector.open("rmqwork demo")
    try:
        watcher = Watcher(link, LedgerReader(ledger_path(stage.thumbnails)), (HIGH, LOW))
        await watcher.begin()
        started = time.monotonic()
        published = await _publish(stage, load)
        in_each = Counter(published.values())
        counts = {queue: in_each[queue] for queue in (HIGH, LOW)}
        settled_at = started
        with stage.screen.watching() as show:

            async def watch(reached: Condition, crew: Sequence[Worker]) -> None:
                nonlocal settled_at
                await _until(watcher, counts, reached, crew, show)
                settled_at = time.monotonic()

            departures = await work(stage, watch)
        await watcher.look(counts)
    finally:
        await link.close()
    letters = [one for one in await aread(connector, (HIGH, LOW)) if one.id in published]
    return await _played(stage, watcher, published, letters, departures, settled_at - started)


async def _played(
    stage: Stage,
    watcher: Watcher,
    published: Mapping[str, str],
    letters: Sequence[DeadLetter],
    departures: Sequence[Departure],
    seconds: float,
) -> Played:
    tally = watcher.tally
    return Played(
        ledger=balance(published, tally, [letter.id or "" for letter in letters]),
        letters=letters,
        retries=sum(one.retries for one in tally.queues.values()),
        departures=departures,
        whole=await asyncio.to_thread(_whole, stage.thumbnails, tally.names),
        seconds=seconds,
    )


async def _publish(stage: Stage, load: Load) -> Mapping[str, str]:
    """Publish all; returns the queue of each id."""
    started = time.monotonic()
    publisher = ThreadedPublisher(connect(stage.url.split(",")), app.topology(), app.name)
    app.use_publisher(publisher)
    try:
        results = await app.apublish_many(load.messages)
    finally:
        app.use_publisher(None)
        await asyncio.to_thread(publisher.close, _CLOSE)
    seconds = time.monotonic() - started
    published = {
        result.id: HIGH if isinstance(message, MakePortrait) else LOW
        for result, message in zip(results, load.messages, strict=True)
    }
    counts = Counter(published.values())
    stage.screen.say(
        f"published {counts[HIGH]:,} messages to {HIGH} and {counts[LOW]:,} to {LOW}, "
        f"each confirmed by the broker, in {seconds:.2f} s"
    )
    return published


async def _until(
    watcher: Watcher,
    published: Mapping[str, int],
    reached: Condition,
    crew: Sequence[Worker],
    show: Callable[[Sequence[View]], None],
) -> None:
    """Look until a condition holds.

    Raises:
        WorkerFailed: a worker ended by itself.
        Stalled: nothing moves.
    """
    before: list[View] = []
    moved_at = time.monotonic()
    while True:
        views = await watcher.look(published)
        show(views)
        if reached(views):
            return
        for worker in crew:
            worker.check()
        if views != before:
            before, moved_at = views, time.monotonic()
        elif time.monotonic() - moved_at > _STALLED:
            raise Stalled(f"nothing has moved for {_STALLED:g} s; the last that was seen: {views}")
        await asyncio.sleep(_LOOK_EVERY)


def _whole(folder: Path, names: set[str]) -> int:
    """How many of the thumbnails that tasks say they made are on disk and can be opened."""
    whole = 0
    for name in names:
        with suppress(OSError), Image.open(folder / f"{name}.jpg") as image:
            image.load()
            whole += 1
    return whole


async def play_with_others(stage: Stage, count: int) -> Played:
    """Play with workers that somebody else has started, such as the containers of Compose."""

    async def nobody(stage: Stage, watch: Watch) -> list[Departure]:
        await watch(all_settled, ())
        return []

    load = await asyncio.to_thread(draw, stage, count)
    return await play(stage, load, nobody)
