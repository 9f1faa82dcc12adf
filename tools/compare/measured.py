"""The measured app and its publisher, run by the interpreter of each commit.

Only public names of rmqwork are used, because the commits differ in their modules. `runs` copies
this module and ``benchmarks.marks`` into a folder of their own: the checkout that the comparison is
started from must not be on the path of these processes.

    python -m tools.compare.measured publish|publish-each|chord|chain SIZE TIMES

The last line on standard output is a JSON object: ``seconds`` and this process's ``cpu`` (seconds).
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.marks import Marks
from rmqwork import App, Queue, chain, chord

QUEUE = "compare"
WARM_UP_QUEUE = "compare.warm"
WARM_UP_MESSAGES = 200
FILLING = "0123456789abcdef" * 16
POLL_INTERVAL: float = 0.002
"""Seconds between two looks at the mark of a workflow's last task."""

app = App("compare", queues=[Queue(QUEUE), Queue(WARM_UP_QUEUE)], default_queue=QUEUE)


@functools.cache
def marks() -> Marks:
    """Return the marks of this run, which the comparison reads."""
    return Marks(Path(os.environ["COMPARE_MARKS"]))


@app.task(name="compare.noop")
def noop(n: int, filling: str) -> None:
    """Do nothing but set mark ``n``."""
    marks().done[n] = time.monotonic()


@app.task(name="compare.member")
def member(n: int) -> int:
    """Return the number of this member of a chord."""
    return n


@app.task(name="compare.body")
def body(values: list[int], place: int, size: int) -> None:
    """Set mark ``place`` if the values of all members are there and in order."""
    if values != list(range(size)):
        raise ValueError(f"the body of a chord of {size} got {len(values)} values: {values[:5]}")
    marks().done[place] = time.monotonic()


@app.task(name="compare.step")
def step(value: int) -> int:
    """Count the steps of a chain."""
    return value + 1


@app.task(name="compare.last")
def last(value: int, place: int, size: int) -> None:
    """Set mark ``place`` if each step has added one."""
    if value != size - 1:
        raise ValueError(f"{value} steps before the last one of a chain of {size}")
    marks().done[place] = time.monotonic()


@dataclass(frozen=True)
class Spent:
    """Seconds of the clock, and CPU seconds of this process."""

    seconds: float
    cpu: float


@contextmanager
def stopwatch() -> Iterator[Callable[[], Spent]]:
    """Give a function that returns what was spent in this context; call it after its end."""
    cpu, start = time.process_time(), time.perf_counter()
    spent: list[Spent] = []
    yield lambda: spent[0]
    spent.append(Spent(time.perf_counter() - start, time.process_time() - cpu))


def publish(size: int, times: int) -> Spent:
    """Publish messages in flight, by ``App.publish_many``."""
    _warm_up()
    with stopwatch() as spent:
        for first in range(0, size * times, size):
            app.publish_many([noop.s(n, FILLING) for n in range(first, first + size)])
    return spent()


def publish_each(size: int, times: int) -> Spent:
    """Publish messages one by one, each after the confirm of the one before."""
    _warm_up()
    with stopwatch() as spent:
        for n in range(size * times):
            noop.delay(n, FILLING)
    return spent()


def run_chord(size: int, times: int) -> Spent:
    """Run chords one after another; see `_run_workflows`."""

    def start(place: int) -> None:
        chord((member.s(n) for n in range(size)), body.s(place, size)).delay()

    return _run_workflows(start, times)


def run_chain(size: int, times: int) -> Spent:
    """Run chains one after another; see `_run_workflows`."""

    def start(place: int) -> None:
        middle = [step.s() for _ in range(size - 2)]
        chain([step.s(0), *middle, last.s(place, size)]).delay()

    return _run_workflows(start, times)


def _run_workflows(start: Callable[[int], None], times: int) -> Spent:
    """Spend seconds until the last task of each workflow runs, and CPU until it is published."""
    _warm_up()
    seconds = cpu = 0.0
    for place in range(times):
        began = time.monotonic()
        with stopwatch() as spent:
            start(place)
        cpu += spent().cpu
        while not (ended := marks().done[place]):
            time.sleep(POLL_INTERVAL)
        seconds += ended - began
    return Spent(seconds, cpu)


def _warm_up() -> None:
    """Connect, declare, and publish to a queue that no worker reads."""
    warm = noop.options(queue=WARM_UP_QUEUE)
    app.publish_many([warm.s(n, FILLING) for n in range(WARM_UP_MESSAGES)])


VERBS: dict[str, Callable[[int, int], Spent]] = {
    "publish": publish,
    "publish-each": publish_each,
    "chord": run_chord,
    "chain": run_chain,
}


def main() -> None:
    """Run the verb of the command line."""
    verb, size, times = sys.argv[1:]
    spent = VERBS[verb](int(size), int(times))
    app.close()
    print(json.dumps(asdict(spent)), flush=True)


if __name__ == "__main__":
    main()
