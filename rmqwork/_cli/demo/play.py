"""The whole demo: a broker, the acts with workers of our own, and everything cleared away."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rmqwork._cli.demo.acts import (
    HIGH,
    LOW,
    Stalled,
    Watch,
    all_settled,
    draw,
    in_the_middle,
    play,
)
from rmqwork._cli.demo.options import EXIT_INTERRUPTED, EXIT_LOST, DemoOptions
from rmqwork._cli.demo.report import further, report
from rmqwork._cli.demo.screen import Screen, screen
from rmqwork._cli.demo.source import FlakySource
from rmqwork._cli.demo.stage import Stage
from rmqwork._cli.demo.workers import Departure, WorkerFailed, leave_all
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork.testing.broker import start_broker, vhost


def perform(options: DemoOptions) -> int:
    """Find a broker, play, and clear away; returns the exit code.

    Raises:
        BrokerUnavailable: no way leads to a broker; the message has each with its reason.
    """
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
        here.say("interrupted; workers, queues and all that was started are cleared away")
        return EXIT_INTERRUPTED
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
    with FlakySource(images) as source:
        stage = Stage(url, images, thumbnails, logs, source.url, here)
        load = draw(stage, options.tasks)
        played = asyncio.run(play(stage, load, _work_with_a_change))
        good = report(here, played)
        if options.keep:
            _keep(stage, folder, played.letters)
        else:
            here.say("To look around in the queues and the dead letters: rmqwork demo --keep")
    return 0 if good else EXIT_LOST


def _keep(stage: Stage, folder: Path, letters: Sequence[DeadLetter]) -> None:
    address = folder / "broker"
    address.touch(mode=0o600)
    address.write_text(stage.url)
    stage.screen.say(further(address, letters))
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        stage.screen.say("the queues and all that was started are cleared away")
    finally:
        address.unlink()


async def _work_with_a_change(stage: Stage, watch: Watch) -> list[Departure]:
    """Until every message is settled; in the middle one worker is replaced."""
    crew = [stage.worker("high-1", HIGH, 1), stage.worker("low-1", LOW, 2)]
    departures: list[Departure] = []
    try:
        for worker in crew:
            stage.screen.say(f"started worker {worker.name} (pid {worker.pid}) on {worker.queue}")
        await watch(in_the_middle, crew)
        leaving = crew[-1]
        crew.append(stage.worker("low-2", LOW, 2))
        stage.screen.say(f"SIGTERM to {leaving.name}; {crew[-1].name} takes its place")
        departures.append(await leaving.leave())
        stage.screen.say(str(departures[-1]))
        crew.remove(leaving)
        await watch(all_settled, crew)
        return departures + await leave_all(crew)
    finally:
        for worker in crew:
            worker.kill()
