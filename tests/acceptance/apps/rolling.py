"""The app of the tests of rolls: the former code imports it, too."""

from __future__ import annotations

import json
import math
import os

from rmqwork import App, Context, FailedTask, Queue, Retry, group


def note(**fields: object) -> None:
    """A line in the ledger: one write, so that lines of several processes stay whole."""
    with open(os.environ["WORK_LEDGER"], "ab", buffering=0) as file:
        file.write(json.dumps({**fields, "pid": os.getppid()}).encode() + b"\n")


def make(broker: str | None = None, results: str | None = None) -> App:
    """An app with these tasks."""
    queues = [Queue("default"), Queue("other")]
    app = App("rolling", broker=broker, results=results, queues=queues)

    @app.task
    def add(x: int, y: int) -> int:
        note(what="add")
        return x + y

    @app.task
    async def total(numbers: list[int]) -> int:
        note(what="total")
        return sum(numbers)

    @app.task(retry=Retry(max_attempts=4, wait=0.05))
    def second_time(ctx: Context, x: int) -> int:
        if ctx.attempt < 2:
            raise ValueError("not yet")
        note(what="second_time")
        return x

    @app.task
    def fails(x: int) -> int:
        raise ValueError(f"no {x}")

    @app.task
    def told(failed: FailedTask) -> None:
        note(what="told", task=failed.task)

    @app.task
    def maybe(ctx: Context, x: int) -> int:
        return ctx.replace(add.s(x, 100)) if x % 2 else x

    @app.task
    def fan_out(ctx: Context, n: int) -> int:
        return ctx.replace(group(add.s(k, 1) for k in range(n)) | total.s())

    @app.task
    def measured() -> list[float]:
        return [math.nan, math.inf]

    @app.task
    def shown(values: list[float]) -> str:
        return repr(values)

    return app


app = make()
