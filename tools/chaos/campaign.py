"""A campaign: a broker, and for each seed a run on a virtual host of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rmqwork._topology.topology import DeclareQueue
from rmqwork.errors import RmqworkError
from rmqwork.testing.broker import Broker, start_broker, vhost
from tools.chaos.app import app
from tools.chaos.collect import take_dead_letters, take_what_is_left
from tools.chaos.crew import Crew
from tools.chaos.faults import Fault, plan
from tools.chaos.ledger import LedgerWriter, Line, judge, pending, read
from tools.chaos.nemesis import Nemesis
from tools.chaos.report import say, table
from tools.chaos.result import Result
from tools.chaos.timeline import write_timeline

EXIT_BROKEN: Final = 1
"""A message is lost, stranded or unexpected, or was dead-lettered as failed without having run."""
EXIT_CANNOT: Final = 2
EXIT_INTERRUPTED: Final = 130
_LOOK: Final = 0.05
_LOOK_AT_LEDGER: Final = 1.0
_WARM_UP: Final = 60.0
_CALM: Final = 3.0
"""Seconds without a new line, after which nothing more is expected."""


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """The options of a campaign.

    Args:
        seeds: the seed of each run, one run after another.
        seconds: seconds of each run in which things are broken.
        rate: publishes a second, of all producers together.
        workers: number of worker processes.
        processes: number of executor processes of each worker.
        producers: number of producer processes.
        folder: folder of ledgers, logs, timelines and verdicts; None = a temporary one.
        heartbeat: seconds; a frozen broker is noticed after one and a half heartbeats.
        patience: seconds after the last fault in which everything must be settled.
        image: container image of the broker; None = the default.
    """

    seeds: tuple[int, ...] = (1,)
    seconds: float = 60.0
    rate: float = 50.0
    workers: int = 2
    processes: int = 2
    producers: int = 2
    folder: Path | None = None
    heartbeat: int = 5
    patience: float = 240.0
    image: str | None = None


def perform(options: ChaosOptions) -> int:
    """Run a campaign; returns the exit code."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.image is not None:
            os.environ["RMQWORK_RABBITMQ_IMAGE"] = options.image
        with _folder(options) as folder, start_broker() as broker:
            results = [_run(seed, options, broker, folder) for seed in options.seeds]
            version = broker.version or "?"
        table(results, version)
        return 0 if all(result.good for result in results) else EXIT_BROKEN
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except RmqworkError as error:
        print(f"chaos: error: {error}", file=sys.stderr)
        return EXIT_CANNOT
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _folder(options: ChaosOptions) -> Iterator[Path]:
    folder = options.folder or Path(tempfile.mkdtemp(prefix="rmqwork-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    say(f"ledgers, logs, timelines and verdicts: {folder}")
    yield folder.resolve()


def run_once(
    seed: int,
    options: ChaosOptions,
    broker: Broker,
    folder: Path,
    faults: list[Fault] | None = None,
) -> Result:
    """One run: load, faults, and the verdict.

    Args:
        seed: of its faults and its load.
        options: of the campaign.
        broker: to run on; broken only if it is ours.
        folder: for its files.
        faults: instead of those of the seed.
    """
    with vhost(broker) as url:
        return Play(seed, options, broker, url, folder, faults).play()


def _run(seed: int, options: ChaosOptions, broker: Broker, folder: Path) -> Result:
    say(f"seed {seed}: {options.seconds:g} s of faults …")
    result = run_once(seed, options, broker, folder / f"seed-{seed}")
    for line in (*result.problems, *map(str, result.bad_departures)):
        say(f"seed {seed}: {line}")
    return result


class Play:
    """One run, from its first process to its verdict.

    Args:
        seed: of its faults and its load.
        options: of the campaign.
        broker: to run on.
        url: of a virtual host of its own.
        folder: for its files.
        faults: instead of those of the seed.
    """

    def __init__(
        self,
        seed: int,
        options: ChaosOptions,
        broker: Broker,
        url: str,
        folder: Path,
        faults: list[Fault] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._seed = seed
        self._options = options
        self._broker = broker
        self._url = url
        self._folder = folder
        self._path = folder / "ledger.jsonl"
        self._path.unlink(missing_ok=True)
        self._ledger = LedgerWriter(self._path, "nemesis")
        environment = {"RMQWORK_BROKER": url, "RMQWORK_HEARTBEAT": str(options.heartbeat)}
        self._crew = Crew(environment, self._path, folder)
        ours = broker.kind != "given"
        self._plan = plan(seed, options.seconds, breakable=ours) if faults is None else faults
        (folder / "faults.json").write_text(json.dumps([_plain(fault) for fault in self._plan]))
        self._problems: list[str] = []

    def play(self) -> Result:
        """Start, break, mend, wait, count."""
        options, crew = self._options, self._crew
        crew.hire(options.workers, options.processes, options.producers, self._seed, options.rate)
        nemesis = Nemesis(self._plan, crew, self._broker, self._ledger)
        try:
            crew.man(crew.workers)
            crew.man(crew.producers)
            self._until(lambda: self._has_run(), _WARM_UP, "no task has run")
            nemesis.start()
            end = time.monotonic() + options.seconds
            while nemesis.busy or time.monotonic() < end:
                crew.look()
                time.sleep(_LOOK)
            recovery = self._recover()
            crew.dismiss(crew.workers)
            self._collect()
        finally:
            nemesis.halt()
            crew.close()
            self._ledger.close()
        return self._result(nemesis, recovery)

    def _until(self, done: Any, seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise RmqworkError(f"{what} within {seconds:g} s; see the logs in {self._folder}")
            self._crew.look()
            time.sleep(_LOOK)

    def _has_run(self) -> bool:
        return any(line.kind == "end" for line in read(self._path))

    def _recover(self) -> float | None:
        """The producers leave; wait until all is settled, and calm."""
        began = time.monotonic()
        self._crew.dismiss(self._crew.producers)
        calm_since, size, settled = time.monotonic(), 0, None
        while time.monotonic() - began < self._options.patience:
            self._crew.look()
            take_dead_letters(self._url, app.queues, self._ledger)
            open_ = pending(read(self._path))
            now = time.monotonic()
            if open_:
                settled = None
            elif settled is None:
                settled = now - began
            if self._path.stat().st_size != size:
                size, calm_since = self._path.stat().st_size, now
            if settled is not None and now - calm_since > _CALM:
                return settled
            time.sleep(_LOOK_AT_LEDGER)
        return None

    def _collect(self) -> None:
        consumed = [
            one.name
            for one in app.topology()
            if isinstance(one, DeclareQueue) and not one.name.endswith(".dlq")
        ]
        take_dead_letters(self._url, app.queues, self._ledger)
        left = take_what_is_left(self._url, consumed, self._ledger)
        if left:
            self._problems.append(f"{left} messages were left in the queues")

    def _result(self, nemesis: Nemesis, recovery: float | None) -> Result:
        lines = read(self._path)
        counts: dict[str, int] = {}
        for line in lines:
            if line.kind == "fault" and line.who == "nemesis":
                name = line.text.partition(" ")[0]
                counts[name] = counts.get(name, 0) + 1
        result = Result(
            self._seed,
            judge(lines),
            lines,
            counts,
            recovery,
            _slowest(lines),
            self._crew.departures,
            [*self._problems, *nemesis.problems],
        )
        result.files = self._write(result)
        return result

    def _write(self, result: Result) -> list[Path]:
        verdict = self._folder / "verdict.json"
        plain = result.verdict.to_dict() | {
            "good": result.good,
            "seed": self._seed,
            "broker": self._broker.version,
            "seconds": self._options.seconds,
            "faults": dict(sorted(result.faults.items())),
            "recovery_seconds": result.recovery,
            "slowest_return_seconds": result.slowest,
            "problems": result.problems,
        }
        verdict.write_text(json.dumps(plain, indent=2) + "\n")
        timeline = self._folder / "timeline.html"
        write_timeline(timeline, result)
        return [timeline, verdict]


def _plain(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in fault.__slots__}


def _slowest(lines: list[Line]) -> float:
    """The longest from the end of a fault of the broker to the next end of a task, as far as the
    next fault of the broker did not come first.
    """
    of_broker = [line for line in lines if line.kind == "fault" and line.text.endswith(" broker")]
    numbers = {line.id for line in of_broker}
    ends = [line.at for line in lines if line.kind == "end"]
    longest = 0.0
    for healed in (line.at for line in lines if line.kind == "healed" and line.id in numbers):
        back = min((end for end in ends if end >= healed), default=healed)
        if not any(healed < fault.at < back for fault in of_broker):
            longest = max(longest, back - healed)
    return longest
