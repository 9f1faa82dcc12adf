"""The app of the worker tests: its tasks leave a line a run in a ledger.

Made with `make`, so that a test publishes through an app of its own with the same tasks. The worker
finds its queues in ``WORK_QUEUES``, the ledger in ``WORK_LEDGER``.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from pydantic import Field
from tenacity import wait_chain, wait_fixed

from rmqwork import App, Context, KillSwitch, Queue, Reject, Retry, RetryLater, TaskMessage

WAITS = (0.5, 1.0, 1.5)
"""Seconds between the runs of `flaky`."""
QUEUES = {
    "bounded": Queue("bounded", max_length=5),
    "classic": Queue("classic", type="classic"),
    "guarded": Queue(
        "guarded", kill_switch=KillSwitch(ratio=0.5, window=10, least=6, wait=0.4, probes=2)
    ),
}
_tasks: list[tuple[Callable[..., Any], dict[str, Any]]] = []


class Resize(TaskMessage, name="images.resize", version=2):
    """A message with a field that can be wrong."""

    url: str
    width: int = Field(gt=0)


def task(**options: Any) -> Callable[[Any], Any]:
    """Note a function that is to be a task."""

    def noted(function: Any) -> Any:
        _tasks.append((function, options))
        return function

    return noted


def make(queues: Iterable[str], broker: str | None = None) -> App:
    """An app with these queues and all tasks of this module."""
    app = App("work", broker=broker, queues=[QUEUES.get(name, Queue(name)) for name in queues])
    for function, options in _tasks:
        app.task(**options)(function)
    if os.environ.get("WORK_LIFESPAN") == "fails":

        @app.lifespan
        @contextmanager
        def fails_to_start() -> Iterator[None]:
            raise RuntimeError("no database here")
            yield

    return app


def note(what: str, ctx: Context | None = None, **fields: object) -> None:
    """Leave a line in the ledger; whole, whoever else writes."""
    if ctx is not None:
        fields |= {"task": ctx.task, "id": ctx.task_id, "attempt": ctx.attempt, "queue": ctx.queue}
    line = json.dumps({"what": what, "at": time.time(), "pid": os.getpid(), **fields})
    with open(os.environ["WORK_LEDGER"], "ab", buffering=0) as file:
        file.write(line.encode() + b"\n")


def until_file(path: str, timeout: float = 60.0) -> None:
    """Wait until another process has made a file."""
    end = time.monotonic() + timeout
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.01)


@task()
def noop() -> None: ...


@task()
def mark(ctx: Context, key: str = "") -> None:
    note("ran", ctx, key=key)


@task()
async def amark(ctx: Context, key: str = "") -> None:
    note("ran", ctx, key=key)


@task()
def nap(ctx: Context, seconds: float, key: str = "") -> None:
    note("started", ctx, key=key)
    time.sleep(seconds)
    note("ran", ctx, key=key)


@task()
async def anap(ctx: Context, seconds: float, key: str = "") -> None:
    note("started", ctx, key=key)
    await asyncio.sleep(seconds)
    note("ran", ctx, key=key)


@task()
def wait_for(ctx: Context, path: str, key: str = "") -> None:
    note("started", ctx, key=key)
    until_file(path)
    note("ran", ctx, key=key)


@task()
def until_stopping(ctx: Context) -> None:
    note("started", ctx)
    ctx.stopping.wait(60)
    note("ran", ctx)


@task(retry=Retry(max_attempts=4, wait=wait_chain(*map(wait_fixed, WAITS))))
def flaky(ctx: Context, failures: int) -> None:
    note("started", ctx)
    if ctx.attempt <= failures:
        raise ConnectionError(f"no answer, time {ctx.attempt}")
    note("ran", ctx)


@task(retry=Retry(max_attempts=2, wait=4))
def fails_once(ctx: Context) -> None:
    note("started", ctx)
    if ctx.attempt == 1:
        raise ConnectionError("no answer")
    note("ran", ctx)


@task(retry=Retry(max_attempts=2, wait=0.5))
def fails_when(ctx: Context, path: str) -> None:
    note("started", ctx)
    if ctx.attempt == 1:
        until_file(path)
        raise ConnectionError("no answer")
    note("ran", ctx)


@task(retry=Retry(max_attempts=3, wait=0.2))
def fails(ctx: Context, text: str) -> None:
    note("started", ctx)
    raise ValueError(text)


@task(retry=Retry(max_attempts=3, wait=0.2))
def rejects(ctx: Context) -> None:
    note("started", ctx)
    raise Reject("no such customer")


@task()
def later(ctx: Context, times: str) -> None:
    """Runs again without an attempt being counted until a file has this many lines."""
    note("started", ctx)
    with open(times, "a+") as file:
        file.write("x")
        runs = file.tell()
    if runs < 3:
        raise RetryLater(0.1, count=False)
    note("ran", ctx)


@task()
def logs() -> None:
    logging.getLogger("work.tasks").debug("a word for debugging")


@task()
def fails_while(ctx: Context, path: str) -> None:
    note("started", ctx)
    time.sleep(0.02)
    if os.path.exists(path):
        raise ConnectionError("no answer")
    note("ran", ctx)


@task()
def resize(message: Resize, ctx: Context) -> None:
    note("ran", ctx, width=message.width)


@task()
def dies(ctx: Context, path: str = "") -> None:
    note("started", ctx)
    if path:
        until_file(path)
    ctx.log.warning("it was nice here")
    os.kill(os.getpid(), signal.SIGKILL)


@task()
def innocent(ctx: Context, path: str, key: str) -> None:
    note("started", ctx, key=key)
    until_file(path)
    time.sleep(0.3)
    note("ran", ctx, key=key)


@task()
def floods(ctx: Context, size: int) -> None:
    note("started", ctx)
    for _ in range(size // 1000):
        print("x" * 999)
    note("ran", ctx)


@task()
async def ainnocent(ctx: Context, path: str) -> None:
    note("started", ctx)
    while not os.path.exists(path):  # noqa: ASYNC240 -- it comes from another process
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    note("ran", ctx)


@task()
async def adies(ctx: Context, path: str) -> None:
    note("started", ctx)
    while not os.path.exists(path):  # noqa: ASYNC240 -- it comes from another process
        await asyncio.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


@task()
def kills_the_pod(ctx: Context) -> None:
    note("started", ctx)
    worker = psutil.Process(os.getppid()).ppid()  # the parent of the template
    os.kill(worker, signal.SIGKILL)
    time.sleep(60)


_kept: list[bytearray] = []


@task()
def keeps(ctx: Context, size: int) -> None:
    _kept.append(bytearray(b"x") * size)
    note("ran", ctx)


@task(hard_time_limit=1.0)
def overruns(ctx: Context) -> None:
    note("started", ctx)
    ctx.log.warning("this will take long")
    time.sleep(600)


@task(hard_time_limit=2.0)
def holds_the_gil(ctx: Context) -> None:
    note("started", ctx)
    ctypes.PyDLL(None).sleep(600)


@task(time_limit=0.3)
def slow(ctx: Context) -> None:
    note("started", ctx)
    while True:
        time.sleep(0.01)


@task(time_limit=0.3)
async def aslow(ctx: Context) -> None:
    note("started", ctx)
    await asyncio.sleep(600)


@task()
def publishes(ctx: Context, key: str) -> None:
    publisher = current()
    publisher.tasks["work.mark"].delay(key=f"{key} by a thread")
    note("ran", ctx, key=key)


@task()
async def apublishes(ctx: Context, key: str) -> None:
    await current().tasks["work.amark"].adelay(key=f"{key} by the loop")
    note("ran", ctx, key=key)


def square(x: int) -> int:
    return x * x


@task()
def pools(ctx: Context) -> None:
    with multiprocessing.Pool(2) as pool:
        note("ran", ctx, squares=pool.map(square, range(5)))


@task()
def threads(ctx: Context) -> None:
    found: list[int] = []
    workers = [threading.Thread(target=lambda x=x: found.append(x * x)) for x in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    note("ran", ctx, squares=sorted(found))


def current() -> App:
    """The app of this process."""
    return app


if "WORK_IMPORT_SLOW" in os.environ:
    note("importing")
    until_file(os.environ["WORK_IMPORT_SLOW"])

app = make(os.environ.get("WORK_QUEUES", "default").split(","))
