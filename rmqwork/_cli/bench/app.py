"""The app of ``rmqwork bench``: tasks that do nothing but note when they ran.

The queue and the file of the marks come from the environment, for the worker imports this by name.
"""

from __future__ import annotations

import mmap
import os
import time
from functools import cache
from pathlib import Path
from typing import Any, Final

from rmqwork import App, Queue

QUEUE_VARIABLE: Final = "RMQWORK_BENCH_QUEUE"
MARKS_VARIABLE: Final = "RMQWORK_BENCH_MARKS"
QUEUE: Final = os.environ.get(QUEUE_VARIABLE, "rmqwork-bench")

app = App("bench", queues=[Queue(QUEUE)])


@cache
def marks() -> Any:
    """When task n ran, as ``time.monotonic()``; 0 = not yet. All processes see the same."""
    path = Path(os.environ[MARKS_VARIABLE])
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), path.stat().st_size)).cast("d")


@app.task(name="bench.thread")
def in_thread(n: int, filling: str) -> None:
    """A task in a thread."""
    marks()[n] = time.monotonic()


@app.task(name="bench.async")
async def on_loop(n: int, filling: str) -> None:
    """A task on the event loop."""
    marks()[n] = time.monotonic()
