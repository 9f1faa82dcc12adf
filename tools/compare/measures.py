"""The measures: what a run does, how large it is, and which figures it gives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median

from benchmarks.runs import SKIP, RunFailed
from tools.compare.pairs import Figure
from tools.compare.runs import Run

CPU_BAR = 0.98
BAR = 0.95
CHORDS = 3
CHAINS = 10
SETTLE_TIME: float = 2.0
"""Seconds that an idle worker gets before its memory is read."""
START_TIME: float = 0.3
"""Seconds after its first task during which a worker's CPU still counts as that of its start."""


def drain(run: Run, size: int) -> dict[str, float]:
    """Fill the queue, start a worker, and look at when each task has run."""
    run.prepare(size)
    run.publish("publish", size)
    marks, first = run.marks, int(size * SKIP)
    with run.worker() as worker:
        run.wait(lambda: marks.done[first], worker, 0.005)
        cpu, at = worker.cpu(), time.monotonic()
        run.wait(marks.all_done, worker)
        cpu, end = worker.cpu() - cpu, time.monotonic()
        done = marks.finished()
    counted = sum(1 for one in done if at < one <= end)
    if counted < size / 2:
        raise RunFailed(f"{size - counted} of {size} tasks had run at the first look: drain more")
    rate = (size - first - 1) / (done[-1] - done[first])
    return {"rate": rate, "cpu": cpu / counted * 1e6}


def publish(run: Run, size: int) -> dict[str, float]:
    """Publish in flight."""
    return _published(run, "publish", size)


def publish_each(run: Run, size: int) -> dict[str, float]:
    """Publish one by one."""
    return _published(run, "publish-each", size)


def _published(run: Run, verb: str, size: int) -> dict[str, float]:
    spent = run.publish(verb, size)
    return {"rate": size / spent["seconds"], "cpu": spent["cpu"] / size * 1e6}


def start(run: Run, size: int) -> dict[str, float]:
    """Start a worker several times, each time with one message that waits for it."""
    seconds, cpu = [], []
    for _ in range(size):
        run.prepare(1)
        run.publish("publish", 1)
        with run.worker() as worker:
            run.wait(run.marks.all_done, worker, 0.002)
            time.sleep(START_TIME)
            cpu.append(worker.cpu())
            seconds.append(run.marks.done[0] - worker.started)
    return {"seconds": median(seconds), "cpu": mean(cpu) * 1e3}


def idle(run: Run, size: int) -> dict[str, float]:
    """Look at a worker that has run one task and has nothing to do, for so many seconds."""
    run.prepare(1)
    run.publish("publish", 1)
    with run.worker() as worker:
        run.wait(run.marks.all_done, worker)
        time.sleep(SETTLE_TIME)
        memory, cpu, began = worker.pss(), worker.cpu(), time.monotonic()
        time.sleep(size)
        cpu = (worker.cpu() - cpu) / (time.monotonic() - began)
    return {"memory": memory, "cpu": cpu * 1e3}


def chord(run: Run, size: int) -> dict[str, float]:
    """Run some chords, one after another."""
    return _workflows(run, "chord", size, CHORDS)


def chain(run: Run, size: int) -> dict[str, float]:
    """Run some chains, one after another."""
    return _workflows(run, "chain", size, CHAINS)


def _workflows(run: Run, verb: str, size: int, times: int) -> dict[str, float]:
    """CPU is that of the worker until all is done, and of the publisher while it publishes."""
    run.prepare(times)
    with run.worker() as worker:
        run.publish(verb, 10, worker=worker)  # the worker is up, and has all that workflows need
        run.marks.done[0] = 0.0  # in place: the executor has mapped this file
        cpu = worker.cpu()
        spent = run.publish(verb, size, times, worker)
        run.wait(run.marks.all_done, worker)
        cpu = worker.cpu() - cpu + spent["cpu"]
    return {"rate": size * times / spent["seconds"], "cpu": cpu / (size * times) * 1e6}


@dataclass(frozen=True)
class Measure:
    """One thing that is measured.

    Args:
        name: for the command line.
        title: for the table; ``{size}`` stands for the size.
        size: messages, members, steps, launches or seconds of one run.
        least: the smallest size.
        run: does it.
        figures: that it gives.
    """

    name: str
    title: str
    size: int
    least: int
    run: Callable[[Run, int], dict[str, float]]
    figures: tuple[Figure, ...]


def _cpu(whose: str) -> Figure:
    return Figure("cpu", f"CPU, {whose}", "µs", bar=CPU_BAR)


def _rate(what: str) -> Figure:
    return Figure("rate", what, "1/s", more=True, bar=BAR)


MEASURES = (
    Measure(
        "drain",
        "drain, {size} tasks",
        40_000,
        4_000,
        drain,
        (_cpu("worker"), _rate("tasks")),
    ),
    Measure(
        "publish",
        "publish in flight, {size}",
        40_000,
        100,
        publish,
        (_cpu("publisher"), _rate("messages")),
    ),
    Measure(
        "publish-each",
        "publish one by one, {size}",
        2_000,
        50,
        publish_each,
        (_cpu("publisher"), _rate("messages")),
    ),
    Measure(
        "start",
        "start, {size} a run",
        3,
        1,
        start,
        (
            Figure("cpu", "CPU, worker", "ms", bar=CPU_BAR),
            Figure("seconds", "to the first task", "s", bar=BAR),
        ),
    ),
    Measure(
        "idle",
        "idle, {size} s",
        4,
        1,
        idle,
        (
            Figure("memory", "memory (PSS)", "MB", bar=BAR),
            Figure("cpu", "CPU, worker", "ms/s"),
        ),
    ),
    Measure(
        "chord",
        "chord of {size}",
        1_000,
        10,
        chord,
        (_cpu("both"), _rate("members")),
    ),
    Measure(
        "chain",
        "chain of {size}",
        100,
        3,
        chain,
        (_cpu("both"), _rate("steps")),
    ),
)
