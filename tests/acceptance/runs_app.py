"""The app that `test_runs.py` runs in real executors: each task disturbs, or looks for others."""

from __future__ import annotations

import asyncio
import decimal
import io
import json
import locale
import logging
import logging.config
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio

from rmqwork import App, Context, Reject, Retry

app = App("p", broker="memory://")
user: ContextVar[str] = ContextVar("user", default="nobody")
held: list[object] = []

match os.environ.get("RUNS_APP_LOGGING"):
    case "basic":
        logging.basicConfig(level=logging.DEBUG, format="mine %(levelname)s %(message)s")
    case "dict":
        logging.getLogger("rmqwork.task")
        logging.config.dictConfig(
            {
                "version": 1,
                "formatters": {"f": {"format": "mine %(levelname)s %(message)s"}},
                "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
                "root": {"handlers": ["h"], "level": "DEBUG"},
            }
        )

if port := os.environ.get("RUNS_APP_CONNECTS"):
    held.append(socket.create_connection(("127.0.0.1", int(port))))
if place := os.environ.get("RUNS_APP_DATAGRAMS"):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", int(place)))
    held.append(sender)
if os.environ.get("RUNS_APP_INNOCENT"):
    listening = socket.create_server(("127.0.0.1", 0))
    held += [asyncio.new_event_loop(), socket.socketpair(), listening, socket.socket()]
    held.append(socket.create_connection(listening.getsockname()))
    held.append(listening.accept()[0])


@app.lifespan
@asynccontextmanager
async def lifespan(_: App) -> AsyncIterator[dict[str, Any]]:
    if os.environ.get("RUNS_APP_LOGGING") == "lifespan":
        logging.basicConfig(level=logging.DEBUG, format="mine %(levelname)s %(message)s")
    token = user.set("lifespan")
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        yield {"task": asyncio.current_task()}
        group.cancel_scope.cancel()
    user.reset(token)  # only in the context in which it was set
    if log := os.environ.get("RUNS_APP_LOG"):
        Path(log).write_text("left")  # noqa: ASYNC240


class Seen(Exception):
    """What a run has found that an earlier one, or a neighbour, has left."""


def check(mark: str) -> None:
    if (found := user.get()) != "lifespan":
        raise Seen(f"context variable of {found}")
    if (precision := decimal.getcontext().prec) != 28:
        raise Seen(f"decimal precision {precision}")
    user.set(mark)
    decimal.getcontext().prec = 5
    # The process's by nature: the next run finds these, and only these.
    warnings.simplefilter("error")
    locale.setlocale(locale.LC_ALL, "C")
    sys.stdout = io.StringIO()
    os.environ["USER_OF_A_RUN"] = mark


@app.task
def sets(mark: str) -> None:
    check(mark)
    if user.get() != mark:
        raise Seen(user.get())


@app.task
async def asets(mark: str) -> None:
    check(mark)
    await asyncio.sleep(0)
    if user.get() != mark or decimal.getcontext().prec != 5:
        raise Seen(user.get())
    await asyncio.create_task(asyncio.sleep(0))
    if await asyncio.to_thread(user.get) != mark:
        raise Seen("a thread does not see it")


async def leaves() -> None:
    sys.exit(3)


async def interrupts() -> None:
    raise KeyboardInterrupt


@app.task(retry=Retry(max_attempts=1))
async def exits(how: str) -> None:
    loop = asyncio.get_running_loop()
    match how:
        case "gather":
            await asyncio.gather(leaves(), asyncio.sleep(60))
        case "interrupt":
            await asyncio.gather(interrupts(), asyncio.sleep(60))
        case "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(leaves())
                group.create_task(asyncio.sleep(60))
        case "task":
            child = asyncio.create_task(leaves())
            await asyncio.sleep(60)
            del child
        case "call_soon":
            loop.call_soon(sys.exit, 3)
            await asyncio.sleep(60)
        case "call_later":
            loop.call_later(0.01, sys.exit, 3)
            await asyncio.sleep(60)
        case "done_callback":
            asyncio.ensure_future(asyncio.sleep(0)).add_done_callback(lambda _: sys.exit(3))
            await asyncio.sleep(60)
        case "from_a_thread":
            threading.Timer(0.01, loop.call_soon_threadsafe, (sys.exit, 3)).start()
            await asyncio.sleep(60)
        case "stops_the_loop":
            loop.stop()
            await asyncio.sleep(0.01)
            raise SystemExit(3)
        case "cancels_itself":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(60)


@app.task
async def neighbour(path: str) -> None:
    while not Path(path).exists():  # noqa: ASYNC240
        await asyncio.sleep(0.005)


@app.task
async def rejects(nested: bool) -> None:
    async def one() -> None:
        raise Reject("no such customer")

    async with asyncio.TaskGroup() as group:
        if not nested:
            group.create_task(one())
        else:
            async with asyncio.TaskGroup() as inner:
                inner.create_task(one())


@app.task
def main_thread(path: str) -> None:
    """All that only the main thread may do."""
    assert threading.current_thread() is threading.main_thread()

    def rings(number: int, frame: object) -> None:
        raise TimeoutError("the alarm rang")

    signal.signal(signal.SIGALRM, rings)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with suppress(TimeoutError):
        time.sleep(60)

    async def handles() -> str:
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, rung.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await rung.wait()
        child = await asyncio.create_subprocess_exec("true")
        assert await child.wait() == 0
        return "handled"

    assert asyncio.run(handles()) == "handled"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # must not reach the next run
    signal.alarm(1)
    Path(path).write_text(str(os.getpid()))


@app.task
def handlers(path: str) -> None:
    found = {
        "term": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "alarm": signal.getsignal(signal.SIGALRM) is signal.SIG_DFL,
        "timer": signal.getitimer(signal.ITIMER_REAL)[0],
        "main": threading.current_thread() is threading.main_thread(),
    }
    Path(path).write_text(json.dumps(found))


@app.task(time_limit=0.2)
def spins(grouped: bool) -> None:
    async def spin() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())

    async def inner() -> None:
        while True:
            time.sleep(0.001)  # noqa: ASYNC251

    if grouped:
        asyncio.run(spin())
    while True:
        time.sleep(0.001)


@app.task
def until_exists(path: str, beside: str = "") -> None:
    if beside:
        Path(beside).write_text(threading.current_thread().name)
    while not Path(path).exists():
        time.sleep(0.005)


@app.task
async def asubprocess() -> None:
    child = await asyncio.create_subprocess_exec("sh", "-c", "exit 3")
    if await child.wait() != 3:
        raise Seen("its exit code")


@app.task
def prints(text: str) -> None:
    print(text)


@app.task
def logs(ctx: Context) -> None:
    fields = {"amount": 4711, "event": "mine", "task_id": "x", "name": "y"}
    ctx.log.info("paid", extra=fields)
    logging.getLogger("shop").debug("details", extra={"level": "cellar"})
