"""rmqwork itself."""

from __future__ import annotations

import os
import sys

from benchmarks import stage
from rmqwork import App, Queue, Retry, Task

NAMES = [stage.QUEUE, *(f"{stage.QUEUE}{n}" for n in range(1, stage.QUEUES))]
WARM = "bench.warm"
app = App("bench", broker=stage.URL, queues=[Queue(name) for name in (*NAMES, WARM)])


@app.task(name="noop")
def noop(n: int, filling: str) -> None:
    """Nothing."""
    stage.noop(n)


@app.task(name="anoop")
async def anoop(n: int, filling: str) -> None:
    """Nothing, on the event loop."""
    stage.noop(n)


@app.task(name="burn")
def burn(n: int, filling: str) -> None:
    """20 ms of CPU."""
    stage.burn(n)


@app.task(name="sleep")
def sleep(n: int, filling: str) -> None:
    """50 ms of waiting."""
    stage.sleep(n)


@app.task(name="asleep")
async def asleep(n: int, filling: str) -> None:
    """50 ms of waiting, on the event loop."""
    await stage.asleep(n)


@app.task(name="fail", retry=Retry(max_attempts=3, wait=lambda state: 0.010))
def fail(n: int, filling: str) -> None:
    """Fails once."""
    stage.fail_once(n)


def _task(kind: str, n: int) -> Task[..., object]:
    return _TASKS[kind][n % stage.QUEUES]


_OPTIONS = {"countdown": stage.COUNTDOWN} if stage.COUNTDOWN else {}
_TASKS = {
    kind: [task.options(queue=name, **_OPTIONS) for name in NAMES]
    if stage.QUEUES > 1 or _OPTIONS
    else [task]
    for kind, task in app.tasks.items()
}


def send(kind: str, n: int, filling: str) -> None:
    """Publish one."""
    _task(kind, n).delay(n, filling)


async def asend(kind: str, n: int, filling: str) -> None:
    """Publish one, on the event loop."""
    await _task(kind, n).adelay(n, filling)


def many(kind: str, numbers: range, filling: str) -> None:
    """Publish many."""
    app.publish_many([_task(kind, n).s(n, filling) for n in numbers])


async def opened() -> None:
    """Connect and declare; nobody reads this queue."""
    await app.tasks["noop"].options(queue=WARM).adelay(0, "")


def worker() -> None:
    """Be the worker that a user starts."""
    options = ["-Q", ",".join(NAMES), "-p", str(stage.PROCESSES), "-c", str(stage.CONCURRENCY)]
    options += ["--async-concurrency", str(max(100, stage.CONCURRENCY))]
    if stage.RELIABLE:
        options += ["--log-level", "warning"]
    app_path = "benchmarks.contenders.rmqwork_:app"
    os.execv(sys.executable, [sys.executable, "-m", "rmqwork", "worker", app_path, *options])


if __name__ == "__main__":
    stage.main(stage.Publishers(send, asend, many, opened), worker)
