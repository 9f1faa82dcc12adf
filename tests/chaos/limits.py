"""What a bad task costs the others, and what leaving costs, measured by hand.

    python -m tests.chaos.limits poison --runs 5
    python -m tests.chaos.limits all

On the broker of ``RMQWORK_BROKER``, or one of its own. Each run has a virtual host of its own.
Exit code 1 unless each run kept to what it says.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import psutil

from rmqwork.testing.broker import Broker, start_broker, vhost
from tests.acceptance.support import Worker, WorkerHarness
from tests.waiting import until

_TIMEOUT: Final = 120.0
_LIMIT: Final = 2.0
"""The hard time limit of `tests.acceptance.apps.work.holds_the_gil`."""


def poison(scene: WorkerHarness) -> tuple[bool, str]:
    """300 good ones and one that kills its process, prefetch 32, 2 processes of 8 threads."""
    worker = scene.worker("-p", "2", "-c", "8", "--prefetch", "32")
    worker.wait_log("works on")
    good = [scene.task("nap").s(seconds=0.05, key=str(number)) for number in range(300)]
    began = time.time()
    scene.many([*good[:150], scene.task("dies").s(), *good[150:]])
    ran = scene.ledger.wait(300, "ran", _TIMEOUT)
    took = max(line["at"] for line in ran) - began
    [(_, properties, _)] = scene.rabbit.letters("default", 1, _TIMEOUT)
    deaths, reconnects = _deaths(worker), len(worker.log("connected again"))
    said = f"300 done in {took:.2f} s, {deaths} deaths, {reconnects} connections lost"
    fair = {line["attempt"] for line in ran} == {1} and properties.headers["rmqwork-attempt"] == 3
    return took <= 10 and deaths <= 4 and not reconnects and fair, said


def suspects(scene: WorkerHarness) -> tuple[bool, str]:
    """One process with 500 coroutines that run, one of which kills it."""
    gate = scene.ledger.path.parent / "gate"
    worker = scene.worker("-p", "1", "--async-concurrency", "500", "--prefetch", "500")
    good = [scene.task("ainnocent").s(path=str(gate)) for _ in range(499)]
    scene.many([*good[:250], scene.task("adies").s(path=str(gate)), *good[250:]])
    scene.ledger.wait(500, "started", _TIMEOUT)
    gate.touch()
    began = time.time()
    ran = scene.ledger.wait(499, "ran", _TIMEOUT)
    took = max(line["at"] for line in ran) - began
    scene.rabbit.letters("default", 1, _TIMEOUT)
    said = f"499 innocents done in {took:.2f} s, {_deaths(worker)} deaths"
    return {line["attempt"] for line in ran} == {1} and len(ran) == 499, said


def gil(scene: WorkerHarness) -> tuple[bool, str]:
    """A task in a C sleep that holds the GIL, beyond its hard limit, and 7 neighbours."""
    gate = scene.ledger.path.parent / "gate"
    worker = scene.worker("-p", "1", "-c", "8")
    for number in range(7):
        scene.send("innocent", path=str(gate), key=str(number))
    scene.ledger.wait(7, "started", _TIMEOUT)
    scene.send("holds_the_gil")
    [line] = scene.ledger.wait(1, "started", _TIMEOUT, task="work.holds_the_gil")
    until(lambda: not psutil.pid_exists(line["pid"]), "its end", _TIMEOUT, 0.005)
    late = time.time() - line["at"] - _LIMIT
    gate.touch()
    ran = scene.ledger.wait(7, "ran", _TIMEOUT)
    said = f"gone {late:.2f} s after its limit, its neighbours run again"
    fair = {line["attempt"] for line in ran} == {1} and not worker.log("connected again")
    return late < 1 and fair, said


def sigterm(scene: WorkerHarness) -> tuple[bool, str]:
    """A worker under full load of short tasks is told to leave."""
    worker = scene.worker("-p", "2", "-c", "8")
    scene.many([scene.task("nap").s(seconds=0.02, key="") for _ in range(4000)])
    scene.ledger.wait(150, "ran", _TIMEOUT)
    began = time.monotonic()
    code = worker.stop()
    took = time.monotonic() - began
    started, ran = scene.ledger.count("started"), scene.ledger.count("ran")
    whole = started == ran and ran + scene.rabbit.ready("default") == 4000
    return code == 0 and took <= 2 and whole, f"left after {took:.2f} s, exit code {code}"


def recycling(scene: WorkerHarness) -> tuple[bool, str]:
    """10,000 tasks, and executors that are replaced after 500."""
    worker = scene.worker("-p", "2", "-c", "8", "--max-tasks", "500")
    sent = scene.many([scene.task("mark").s(key="") for _ in range(10_000)])
    lines = scene.ledger.wait(10_000, "ran", _TIMEOUT)
    times = sorted(line["at"] for line in lines)
    gap = max(after - before for before, after in pairwise(times))
    replaced = len(worker.log("is being replaced"))
    said = f"{replaced} replaced, the longest pause {gap * 1000:.0f} ms"
    return worker.stop() == 0 and sorted(line["id"] for line in lines) == sorted(sent), said


def _deaths(worker: Worker) -> int:
    return len(worker.log("killed by SIGKILL, with"))


MEASURES: Final[dict[str, Callable[[WorkerHarness], tuple[bool, str]]]] = {
    one.__name__: one for one in (poison, suspects, gil, sigterm, recycling)
}


@contextmanager
def _scene(broker: Broker) -> Iterator[WorkerHarness]:
    with (
        vhost(broker) as url,
        tempfile.TemporaryDirectory() as folder,
        WorkerHarness(url, Path(folder)) as scene,
    ):
        yield scene


def main() -> int:
    """Measure, and say whether all was as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.limits", description=__doc__)
    parser.add_argument("what", choices=[*MEASURES, "all"])
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    chosen = MEASURES if arguments.what == "all" else {arguments.what: MEASURES[arguments.what]}
    bad = 0
    with start_broker() as broker:
        for name, measure in chosen.items():
            for run in range(arguments.runs):
                with _scene(broker) as scene:
                    good, said = measure(scene)
                bad += not good
                load = os.getloadavg()[0]
                print(f"{name} {run + 1}: {'' if good else 'NOT GOOD: '}{said} (load {load:.1f})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
