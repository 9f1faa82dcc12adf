"""The app of the proofs: tasks that take their time, or too much memory, and keep a ledger.

`PROOF_LEDGER` in the environment is the ledger's path.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmqwork import App, Context, Queue, Retry
from tools.chaos.ledger import LedgerWriter

app = App("proof", queues=[Queue("proof")], default_queue="proof")
_MEGABYTE = 1 << 20


@app.lifespan
@contextmanager
def ledger() -> Iterator[LedgerWriter]:
    """The ledger, once in each executor process; workers are named by their containers."""
    path = Path(os.environ["PROOF_LEDGER"])
    writer = LedgerWriter(path, f"{socket.gethostname()}/{os.getpid()}")
    try:
        yield writer
    finally:
        writer.close()


@app.task(time_limit=30)
def nap(ctx: Context[LedgerWriter], seconds: float) -> None:
    """Sleep in a thread."""
    ctx.state.start(ctx.task_id, ctx.attempt, ctx.redelivered)
    time.sleep(seconds)
    ctx.state.end(ctx.task_id, ctx.attempt)


@app.task(time_limit=60)
def wait_for(ctx: Context[LedgerWriter], gate: str) -> None:
    """Wait in a thread until there is a file beside the ledger."""
    ctx.state.start(ctx.task_id, ctx.attempt, ctx.redelivered)
    path = Path(os.environ["PROOF_LEDGER"]).with_name(gate)
    while not path.exists():
        time.sleep(0.01)
    ctx.state.end(ctx.task_id, ctx.attempt)


@app.task(time_limit=30)
async def anap(ctx: Context[LedgerWriter], seconds: float) -> None:
    """Sleep on the event loop."""
    ctx.state.start(ctx.task_id, ctx.attempt, ctx.redelivered)
    await asyncio.sleep(seconds)
    ctx.state.end(ctx.task_id, ctx.attempt)


@app.task(retry=Retry(max_attempts=3, wait=0.2))
def eat(ctx: Context[LedgerWriter], megabytes: int, seconds: float = 0.0) -> None:
    """Take memory, more than there may be."""
    ctx.state.start(ctx.task_id, ctx.attempt, ctx.redelivered)
    ctx.state.dies(ctx.task_id, ctx.attempt, "memory")
    held = [os.urandom(_MEGABYTE) for _ in range(megabytes)]
    time.sleep(seconds)
    ctx.state.end(ctx.task_id, ctx.attempt)
    held.clear()
