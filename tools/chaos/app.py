"""The app of a campaign: tasks that write into the ledger when they start and when they end.

What it reads from the environment: ``RMQWORK_CHAOS_LEDGER``, the ledger's path, and
``RMQWORK_CHAOS_WHO``, the name of its worker in the ledger.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from tenacity import wait_random

from rmqwork import App, Context, Queue, Reject, Retry, TaskMessage
from rmqwork.errors import PublishError
from tools.chaos.ledger import LedgerWriter

LEDGER_VARIABLE: Final = "RMQWORK_CHAOS_LEDGER"
WHO_VARIABLE: Final = "RMQWORK_CHAOS_WHO"
STEADY: Final = "chaos.steady"
NARROW: Final = "chaos.narrow"
"""A queue with a length limit: publishes to it are refused at times."""
Death = Literal["sigkill", "sigsegv", "exit"]


class Work(TaskMessage, name="chaos.work", queue=STEADY):
    """Sleep for some seconds; fail the first few times."""

    seconds: float = 0.0
    failures: int = 0


class NarrowWork(TaskMessage, name="chaos.narrow", queue=NARROW):
    """The same, from the queue with a length limit."""

    seconds: float = 0.0
    failures: int = 0


class AsyncWork(TaskMessage, name="chaos.async", queue=STEADY):
    """The same, on the event loop."""

    seconds: float = 0.0
    failures: int = 0


class Family(TaskMessage, name="chaos.family", queue=STEADY):
    """Publish another message from within the task."""

    child: str


class Doomed(TaskMessage, name="chaos.doomed", queue=STEADY):
    """Raise, each time."""


class Refused(TaskMessage, name="chaos.refused", queue=STEADY):
    """Reject at once."""


class Poison(TaskMessage, name="chaos.poison", queue=STEADY):
    """Kill the process that runs it."""

    by: Death = "sigkill"


class Stubborn(TaskMessage, name="chaos.stubborn", queue=STEADY):
    """Run beyond the hard time limit the first time."""


class Mishap(Exception):
    """A failure by design."""


app = App(
    "chaos",
    queues=[Queue(STEADY), Queue(NARROW, max_length=40)],
    default_queue=STEADY,
    publish_timeout=15,
)
HARD: Final = 2.0
"""Seconds after which a stubborn task's process is killed."""
SOON: Final = Retry(max_attempts=6, wait=wait_random(0.05, 1.0))


@app.lifespan
@contextmanager
def ledger() -> Iterator[LedgerWriter]:
    """The ledger, once in each executor process."""
    who = f"{os.environ.get(WHO_VARIABLE, 'worker')}/{os.getpid()}"
    writer = LedgerWriter(Path(os.environ[LEDGER_VARIABLE]), who)
    try:
        yield writer
    finally:
        writer.close()


def _start(ctx: Context[LedgerWriter]) -> None:
    ctx.state.start(ctx.task_id, ctx.attempt, ctx.redelivered)


def _fail_at_first(failures: int, ctx: Context[LedgerWriter]) -> None:
    if ctx.attempt <= failures:
        raise Mishap(f"attempt {ctx.attempt} of {failures} that fail")


@app.task(retry=SOON)
def work(message: Work, ctx: Context[LedgerWriter]) -> None:
    """See `Work`."""
    _start(ctx)
    time.sleep(message.seconds)
    _fail_at_first(message.failures, ctx)
    ctx.state.end(ctx.task_id, ctx.attempt)


@app.task(retry=SOON)
def narrow_work(message: NarrowWork, ctx: Context[LedgerWriter]) -> None:
    """See `NarrowWork`."""
    _start(ctx)
    time.sleep(message.seconds)
    _fail_at_first(message.failures, ctx)
    ctx.state.end(ctx.task_id, ctx.attempt)


@app.task(retry=SOON)
async def async_work(message: AsyncWork, ctx: Context[LedgerWriter]) -> None:
    """See `AsyncWork`."""
    _start(ctx)
    await asyncio.sleep(message.seconds)
    _fail_at_first(message.failures, ctx)
    ctx.state.end(ctx.task_id, ctx.attempt)


@app.task(retry=SOON)
def family(message: Family, ctx: Context[LedgerWriter]) -> None:
    """See `Family`; a child that is not confirmed is tried again with its parent."""
    _start(ctx)
    ctx.state.attempt(message.child)
    try:
        work.options(task_id=message.child, timeout=10).delay(Work())
    except PublishError as error:
        ctx.state.refuse(message.child, str(error), error.may_have_arrived)
        raise
    ctx.state.confirm(message.child)
    ctx.state.end(ctx.task_id, ctx.attempt)


@app.task(retry=Retry(max_attempts=3, wait=wait_random(0.05, 0.5)))
def doomed(message: Doomed, ctx: Context[LedgerWriter]) -> None:
    """See `Doomed`."""
    _start(ctx)
    raise Mishap("it fails each time")


@app.task
def refused(message: Refused, ctx: Context[LedgerWriter]) -> None:
    """See `Refused`."""
    _start(ctx)
    raise Reject("by design")


@app.task
def poison(message: Poison, ctx: Context[LedgerWriter]) -> None:
    """See `Poison`."""
    _start(ctx)
    ctx.state.dies(ctx.task_id, ctx.attempt, "poison")
    if message.by == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGSEGV if message.by == "sigsegv" else signal.SIGKILL)
    time.sleep(60)  # another thread may take the signal, a moment later


@app.task(retry=SOON, hard_time_limit=HARD)
def stubborn(message: Stubborn, ctx: Context[LedgerWriter]) -> None:
    """See `Stubborn`."""
    _start(ctx)
    if ctx.attempt == 1:
        time.sleep(HARD - 0.2)
        ctx.state.dies(ctx.task_id, ctx.attempt, "hard-time-limit")
        time.sleep(60)
    ctx.state.end(ctx.task_id, ctx.attempt)
