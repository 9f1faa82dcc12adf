"""The app of these measurements; what ran is written to the file ``WORKFLOWS_LOG``."""

from __future__ import annotations

import json
import os
import time

from rmqwork import App, Queue

app = App("flows", queues=[Queue("work")], default_queue="work")
_log = os.environ.get("WORKFLOWS_LOG", "/dev/null")


def _note(**what: object) -> None:
    line = json.dumps({**what, "at": time.time(), "pid": os.getpid()}) + "\n"
    with open(_log, "ab", buffering=0) as file:  # one write: whole lines, whoever else writes
        file.write(line.encode())


@app.task
def member(index: int, seconds: float = 0.0, run: str = "") -> int:
    """A header task: sleeps, notes its end, and returns its index."""
    if seconds:
        time.sleep(seconds)
    if run:
        _note(member=index, run=run)
    return index


@app.task
def body(values: list[int], run: str) -> int:
    """Notes its start, and whether all values are there and in order."""
    _note(body=len(values), ordered=values == list(range(len(values))), run=run)
    return len(values)


@app.task
def step(value: int, run: str = "", last: bool = False) -> int:
    """A step of a chain."""
    if last:
        _note(last=value, run=run)
    return value + 1


@app.task
def end(run: str) -> None:
    """Notes that all before it in a queue has started."""
    _note(end=True, run=run)
