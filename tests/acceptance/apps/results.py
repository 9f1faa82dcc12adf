"""The app of the result tests; its back end is in ``RMQWORK_RESULTS``."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime

from pydantic import BaseModel

from rmqwork import App, Context, Queue, Reject, Retry, TaskMessage


class Thumbnail(BaseModel):
    """What `resize` returns."""

    url: str
    at: datetime


class Resize(TaskMessage, name="results.resize"):
    """What `resize` takes."""

    url: str


def make(broker: str | None = None, results: str | None = None) -> App:
    """An app with all tasks; the worker's settings come from its environment."""
    app = App("results", broker=broker, results=results, queues=[Queue("default")])

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    async def aadd(x: int, y: int) -> int:
        return x + y

    @app.task
    def resize(message: Resize) -> Thumbnail:
        return Thumbnail(url=message.url, at=datetime.fromisoformat("2026-01-02T03:04:05+00:00"))

    @app.task(retry=Retry(max_attempts=2, wait=0.1))
    def fails(text: str) -> int:
        raise ValueError(text)

    @app.task
    def rejects() -> int:
        raise Reject("not this one")

    @app.task
    def odd() -> object:
        return object()

    @app.task(time_limit=0.2)
    def endless() -> None:
        while True:
            time.sleep(0.01)

    @app.task(hard_time_limit=0.5)
    def deaf() -> None:
        time.sleep(600)

    @app.task
    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @app.task
    def counts(ctx: Context, to: int) -> int:
        for number in range(to):
            ctx.progress(number, to)
            time.sleep(0.1)
        return to

    @app.task
    def asks(x: int) -> int:
        return add.delay(x, 1).get(timeout=20)

    return app


app = make()
