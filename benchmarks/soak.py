"""``python -m benchmarks.soak``: a worker under steady load for long; does anything grow?

Threads, coroutines, retries and replies are mixed. Memory (PSS), descriptors and threads of each
process are looked at twice a minute; growth is the median of the last tenth against that of the
first tenth after the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psutil

from benchmarks.processes import Process
from rmqwork import App, Context, Queue, Retry, Task
from rmqwork.testing.broker import start_broker

WARM_UP: float = 120.0
EVERY: float = 30.0
BATCH = 50
KINDS = ("worker", "template", "executor", "publisher")

app = App("soak", queues=[Queue("soak")], results="rpc://")


@app.task
def plain(n: int, filling: str) -> int:
    """In a thread."""
    return n


@app.task
async def asynchronous(n: int, filling: str) -> int:
    """On the event loop."""
    await asyncio.sleep(0.005)
    return n


@app.task(retry=Retry(max_attempts=3, wait=lambda state: 0.2))
def fails_once(ctx: Context, n: int, filling: str) -> int:
    """At its first attempt."""
    if ctx.attempt == 1:
        raise ValueError(f"{n} fails once")
    return n


def kind_of(n: int) -> Task[[int, str], int]:
    """One in twenty fails once, a third of the others are coroutines."""
    return fails_once if n % 20 == 0 else asynchronous if n % 3 == 0 else plain


@dataclass(frozen=True)
class Look:
    """What a process looked like.

    Args:
        at: seconds since the beginning.
        kind: of the process.
        pid: of the process.
        pss: bytes, with its share of what it shares.
        descriptors: that are open.
        threads: that it has.
        done: messages that were published so far.
    """

    at: float
    kind: str
    pid: int
    pss: int
    descriptors: int
    threads: int
    done: int


def looks(worker: Process, at: float, done: int) -> Iterator[Look]:
    """All processes now; the worker, its template, the executors, and this one."""
    pids = worker.tree()
    for place, pid in enumerate([*pids, psutil.Process().pid]):
        kind = "publisher" if place == len(pids) else KINDS[min(place, 2)]
        try:
            process = psutil.Process(pid)
            memory = process.memory_full_info().pss
            yield Look(at, kind, pid, memory, process.num_fds(), process.num_threads(), done)
        except psutil.NoSuchProcess:
            continue


def load(seconds: float, rate: float, worker: Process) -> tuple[list[Look], int]:
    """Publish for so long; returns what was seen, and how many were published."""
    begin = time.monotonic()
    seen: list[Look] = []
    done, next_look = 0, 0.0
    filling = "x" * 200
    while (at := time.monotonic() - begin) < seconds:
        if worker.ended:
            sys.exit("the worker has ended")
        if at >= next_look:
            seen += looks(worker, at, done)
            next_look += EVERY
        batch = [kind_of(n).s(n, filling) for n in range(done, done + BATCH)]
        for result in app.publish_many(batch)[1::10]:  # none of those that fail once
            result.get(timeout=60)
        done += BATCH
        time.sleep(max(0.0, begin + done / rate - time.monotonic()))
    seen += looks(worker, time.monotonic() - begin, done)
    return seen, done


def growth(seen: list[Look], what: str) -> Mapping[str, dict[str, float]]:
    """By process: the beginning, the end, and their ratio less one."""
    warm = [look for look in seen if look.at >= WARM_UP] or seen
    first, last = warm[0].at, warm[-1].at
    tenth = max((last - first) / 10, EVERY)
    found = {}
    for kind, pid in dict.fromkeys((look.kind, look.pid) for look in warm):
        mine = [look for look in warm if look.pid == pid]
        begun = [getattr(one, what) for one in mine if one.at <= first + tenth]
        ended = [getattr(one, what) for one in mine if one.at >= last - tenth]
        if begun and ended:  # else it did not live all the time
            start, end = median(begun), median(ended)
            found[f"{kind} {pid}"] = {"start": start, "end": end, "growth": end / start - 1}
    return found


def main() -> int:
    """Run it, and say what has grown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=24)
    parser.add_argument("--rate", type=float, default=500, help="messages a second")
    parser.add_argument("--folder", type=Path, default=Path(".rmqwork/soak"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with start_broker() as broker:
        os.environ["RMQWORK_BROKER"] = broker.url  # the app reads it when it first publishes
        command = [sys.executable, "-m", "rmqwork", "worker", "benchmarks.soak:app"]
        command += ["-p", "2", "-c", "8", "--log-level", "error"]
        log = options.folder / "worker.log"
        worker = Process(command, {}, log, Path(__file__).resolve().parents[1])
        try:
            seen, done = load(options.minutes * 60, options.rate, worker)
        finally:
            worker.stop()
            app.close()
    report = {
        "messages": done,
        "rate": round(done / (options.minutes * 60), 1),
        **{what: growth(seen, what) for what in ("pss", "descriptors", "threads")},
        "processes": Counter(look.kind for look in seen if look.at == seen[-1].at),
        "looks": [asdict(look) for look in seen],
    }
    (options.folder / "soak.json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"{done:,} messages, {report['rate']:g}/s")
    for what in ("pss", "descriptors", "threads"):
        for process, figures in growth(seen, what).items():
            print(
                f"{what:12} {process:20} {figures['start']:14,.0f} {figures['end']:14,.0f}"
                f" {figures['growth']:+.1%}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
