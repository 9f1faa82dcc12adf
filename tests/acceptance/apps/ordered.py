"""An app whose work is done in order: its task leaves a line when it starts and when it ends."""

from __future__ import annotations

import json
import os
import time

from tenacity import wait_fixed

from rmqwork import App, Context, Queue, Reject, Retry


def make(broker: str | None = None) -> App:
    """The app, with a queue of two partitions."""
    app = App("ordered", broker=broker, queues=[Queue("orders", partitions=2)])

    @app.task(
        queue="orders",
        partition_key="customer",
        retry=Retry(max_attempts=3, wait=wait_fixed(0.1)),
    )
    def step(
        ctx: Context, customer: str, number: int, failures: int = 0, seconds: float = 0.0
    ) -> None:
        _note("started", customer, number, ctx.attempt)
        time.sleep(seconds)
        if number < 0:
            raise Reject("it is not wanted")
        if ctx.attempt <= failures:
            raise ValueError("once more")
        _note("ended", customer, number, ctx.attempt)

    return app


def _note(what: str, customer: str, number: int, attempt: int) -> None:
    line = {"what": what, "customer": customer, "number": number, "attempt": attempt}
    with open(os.environ["WORK_LEDGER"], "a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "worker": os.getppid()}) + "\n")


app = make()
