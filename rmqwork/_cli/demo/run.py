"""The whole demo: a broker, the steps with workers of our own, and everything cleared away."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rmqwork._cli.demo.app import HIGH, LOW
from rmqwork._cli.demo.load import Load, prepare
from rmqwork._cli.demo.report import Screen, further, report, screen
from rmqwork._cli.demo.setup import Setup, Worker, WorkerFailed
from rmqwork._cli.demo.source import FlakySource
from rmqwork._cli.demo.steps import Played, Stalled, Steps, in_the_middle
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork.testing.broker import start_broker, vhost

EXIT_LOST: Final = 1
"""A published message ended in no visible place, or the demo could not be played to its end."""
EXIT_INTERRUPTED: Final = 130


def perform(tasks: int, *, keep: bool = False, folder: Path | None = None) -> int:
    """Find a broker, play, and clear away; return the exit code.

    Args:
        tasks: number of messages that are published.
        keep: keep the broker, the queues and the files to look around, until Ctrl-C.
        folder: folder of the images, the thumbnails and the workers' logs, which stay there; None =
            a temporary folder, which is removed at the end.

    Raises:
        BrokerUnavailable: no way leads to a broker; the message has each with its reason.
    """
    here = screen()
    # SIGTERM ends the demo as Ctrl-C does, so that nothing is left behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            if folder is None:
                made = tempfile.TemporaryDirectory(prefix="rmqwork-demo-")
                folder = Path(stack.enter_context(made))
            folder.mkdir(parents=True, exist_ok=True)
            url = stack.enter_context(vhost(stack.enter_context(start_broker(say=here.say))))
            source = stack.enter_context(FlakySource(folder / "images"))
            setup = Setup.make(url, folder.resolve(), source.url)
            played = asyncio.run(play(setup, here, draw(setup, here, tasks), own_workers=True))
            good = report(here, played)
            if keep:
                _keep(setup, here, played.letters)
            else:
                here.say("To look around in the queues and the dead letters: rmqwork demo --keep")
            return 0 if good else EXIT_LOST
    except KeyboardInterrupt:
        here.say("interrupted; workers, queues and all that was started are cleared away")
        return EXIT_INTERRUPTED
    except (WorkerFailed, Stalled) as error:
        print(f"rmqwork demo: {error}", file=sys.stderr)
        return EXIT_LOST
    finally:
        signal.signal(signal.SIGTERM, before)


def draw(setup: Setup, here: Screen, count: int) -> Load:
    """Draw the images, and make the messages about them."""
    started = time.monotonic()
    load = Load.of(here.track(prepare(count, setup.images, setup.source_url), count))
    seconds = time.monotonic() - started
    here.say(
        f"drew {count:,} images, {load.bytes / 1e6:,.0f} MB, in {seconds:.1f} s; "
        f"{load.dead} are broken or out of reach, and {load.retries} tries will be in vain"
    )
    return load


async def play(setup: Setup, here: Screen, load: Load, *, own_workers: bool) -> Played:
    """Publish the load, have it worked off, and look what became of every message.

    Args:
        setup: where the demo runs.
        here: where it is told.
        load: what is published.
        own_workers: start workers, of which one is replaced in the middle; False = somebody else
            has started some, such as the containers of Compose.
    """
    workers: list[Worker] = []
    departures: list[str] = []
    async with Steps.open(setup) as steps:
        started = time.monotonic()
        await steps.publish(load.messages)
        counts = Counter(steps.published.values())
        here.say(
            f"published {counts[HIGH]:,} messages to {HIGH} and {counts[LOW]:,} to {LOW}, "
            f"each confirmed by the broker, in {time.monotonic() - started:.2f} s"
        )
        try:
            if own_workers:
                workers.append(setup.start_worker("high-1", HIGH, 1))
                workers.append(setup.start_worker("low-1", LOW, 2))
            for one in workers:
                here.say(f"started worker {one.name} (pid {one.process.pid}) on {one.queue}")
            with here.watching():
                async for views in steps.watch(workers):
                    here.show(views)
                    if workers and not departures and in_the_middle(views):
                        departures.append(await _replace_last(workers, setup, here))
                seconds = time.monotonic() - started
                departures += await asyncio.gather(*(worker.leave() for worker in workers))
        finally:
            for worker in workers:
                if worker.process.poll() is None:
                    worker.process.kill()
        return await steps.outcome(departures, seconds)


async def _replace_last(workers: list[Worker], setup: Setup, here: Screen) -> str:
    """Have another worker in the place of the last one, which leaves."""
    leaving = workers[-1]
    successor = setup.start_worker("low-2", leaving.queue, 2)
    workers.append(successor)
    here.say(f"SIGTERM to {leaving.name}; {successor.name} takes its place")
    departure = await leaving.leave()
    workers.remove(leaving)
    here.say(departure)
    return departure


def _keep(setup: Setup, here: Screen, letters: Sequence[DeadLetter]) -> None:
    address = setup.logs.parent / "broker"
    address.touch(mode=0o600)
    address.write_text(setup.url)
    here.say(further(address, letters))
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        here.say("the queues and all that was started are cleared away")
    finally:
        address.unlink()
