"""The demo's acts: draw, publish, work, replace a worker, draw up the ledger."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from PIL import Image

from rmqwork.deadletters import aread
from rmqwork.demo import EXIT_CANNOT, EXIT_INTERRUPTED, EXIT_LOST, DemoOptions
from rmqwork.demo.app import MakePortrait, app, ledger_path
from rmqwork.demo.ledger import LedgerReader, balance
from rmqwork.demo.load import Load, prepare
from rmqwork.demo.report import further, report
from rmqwork.demo.screen import Screen, Show, screen
from rmqwork.demo.source import FlakySource
from rmqwork.demo.stage import Played, Stage
from rmqwork.demo.watch import View, Watcher
from rmqwork.demo.workers import Departure, Worker, WorkerFailed, leave_all
from rmqwork.errors import RmqworkError
from rmqwork.testing.broker import BrokerCannot, start_broker, vhost
from rmqwork.transport import connect

HIGH: Final = "high_priority"
LOW: Final = "low_priority"
_LOOK_EVERY: Final = 0.25  # seconds
_STALLED: Final = 60.0  # seconds without any progress
_MIDDLE: Final = 0.4
"""The share of the low_priority messages after which a worker is replaced."""


_Condition = Callable[[Sequence[View]], bool]


class Stalled(Exception):
    """Nothing moved for a minute."""


def perform(options: DemoOptions) -> int:
    """Find a broker, play, and clear away; returns the exit code."""
    here = screen()
    # SIGTERM ends the demo as Ctrl-C does, so that nothing is left behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            folder = _folder(options, stack)
            broker = stack.enter_context(start_broker(say=here.say))
            url = stack.enter_context(vhost(broker))
            return _on_broker(url, folder, options, here)
    except KeyboardInterrupt:
        here.say("interrupted; the workers, the queues and the broker are cleared away")
        return EXIT_INTERRUPTED
    except (RmqworkError, BrokerCannot) as error:
        print(f"rmqwork demo: {error}", file=sys.stderr)
        return EXIT_CANNOT
    except (WorkerFailed, Stalled) as error:
        print(f"rmqwork demo: {error}", file=sys.stderr)
        return EXIT_LOST
    finally:
        signal.signal(signal.SIGTERM, before)


def _folder(options: DemoOptions, stack: ExitStack) -> Path:
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        return options.folder.resolve()
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rmqwork-demo-")))


def _on_broker(url: str, folder: Path, options: DemoOptions, here: Screen) -> int:
    images, thumbnails, logs = (folder / name for name in ("images", "thumbnails", "logs"))
    for place in (images, thumbnails, logs):
        place.mkdir(exist_ok=True)
    ledger_path(thumbnails).unlink(missing_ok=True)
    with FlakySource(images) as source:
        stage = Stage(url, images, thumbnails, logs, source.url, here)
        load = _draw(stage, options.tasks)
        played = asyncio.run(_play(stage, load))
        good = report(here, load, played)
        if options.keep:
            _keep(stage, folder)
        else:
            here.say("To look around in the queues and the dead letters: rmqwork demo --keep")
    return 0 if good else EXIT_LOST


def _draw(stage: Stage, count: int) -> Load:
    started = time.monotonic()
    with stage.screen.drawing(count) as drawn:
        load = prepare(count, stage.images, stage.source_url, drawn)
    stage.screen.say(
        f"drew {count:,} images, {load.bytes / 1e6:,.0f} MB, in {time.monotonic() - started:.1f} s; "
        f"{load.dead} are broken or out of reach, and {load.retries} tries will be in vain"
    )
    return load


def _keep(stage: Stage, folder: Path) -> None:
    address = folder / "broker"
    address.touch(mode=0o600)
    address.write_text(stage.url)
    stage.screen.say(further(address))
    with suppress(KeyboardInterrupt):
        while True:
            signal.pause()
    address.unlink()


async def _play(stage: Stage, load: Load) -> Played:
    started = time.monotonic()
    published = await _publish(stage, load)
    connector = connect(stage.url.split(","))
    link = await connector.open("rmqwork demo")
    try:
        watcher = Watcher(link, LedgerReader(ledger_path(stage.thumbnails)), published)
        with _crew(stage) as crew:
            departures = await _work(stage, watcher, crew)
            seconds = time.monotonic() - started
            letters = await aread(connector, [HIGH, LOW])
            departures += await leave_all(crew)
        await watcher.look()
    finally:
        await link.close()
    dead = {HIGH: [letter.id or "" for letter in letters]}
    retries = sum(tally.retries for tally in watcher.tally.queues.values())
    whole = await asyncio.to_thread(_whole, stage.thumbnails, watcher.tally.names)
    ledger = balance(published, watcher.tally, dead)
    return Played(ledger, letters, retries, departures, whole, seconds)


async def _publish(stage: Stage, load: Load) -> Mapping[str, str]:
    """Publish all; returns the queue of each id."""
    started = time.monotonic()
    results = await app.apublish_many(load.messages)
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


@contextmanager
def _crew(stage: Stage) -> Iterator[list[Worker]]:
    """The first workers; who is still in the list at the end is killed."""
    crew: list[Worker] = []
    try:
        crew += [stage.worker("high-1", HIGH, 1), stage.worker("low-1", LOW, 2)]
        for worker in crew:
            stage.screen.say(f"started worker {worker.name} (pid {worker.pid}) on {worker.queue}")
        yield crew
    finally:
        for worker in crew:
            worker.kill()


async def _work(stage: Stage, watcher: Watcher, crew: list[Worker]) -> list[Departure]:
    """Until every message is settled; in the middle one worker is replaced."""
    departures: list[Departure] = []
    with stage.screen.watching() as show:
        await _until(watcher, crew, show, _in_the_middle)
        leaving = next(worker for worker in crew if worker.queue == LOW)
        crew.append(stage.worker("low-2", LOW, 2))
        stage.screen.say(
            f"SIGTERM to {leaving.name}, in the middle; {crew[-1].name} takes its place"
        )
        crew.remove(leaving)
        try:
            departures.append(await leaving.leave())
        finally:
            leaving.kill()
        stage.screen.say(str(departures[-1]))
        await _until(watcher, crew, show, _all_settled)
    return departures


async def _until(watcher: Watcher, crew: Sequence[Worker], show: Show, reached: _Condition) -> None:
    """Look until a condition holds.

    Raises:
        WorkerFailed: a worker ended by itself.
        Stalled: nothing moves.
    """
    before: list[View] = []
    moved_at = time.monotonic()
    while True:
        views = await watcher.look()
        show(views)
        if reached(views):
            return
        for worker in crew:
            worker.check()
        if views != before:
            before, moved_at = views, time.monotonic()
        elif time.monotonic() - moved_at > _STALLED:
            raise Stalled(f"nothing moved for {_STALLED:g} s; the last that was seen: {views}")
        await asyncio.sleep(_LOOK_EVERY)


def _in_the_middle(views: Sequence[View]) -> bool:
    low = next(view for view in views if view.queue == LOW)
    return low.settled >= _MIDDLE * low.published


def _all_settled(views: Sequence[View]) -> bool:
    return all(view.settled >= view.published for view in views)


def _whole(folder: Path, names: set[str]) -> int:
    """How many of the thumbnails that tasks say they made are on disk and can be opened."""
    whole = 0
    for name in names:
        with suppress(OSError), Image.open(folder / f"{name}.jpg") as image:
            image.load()
            whole += 1
    return whole
