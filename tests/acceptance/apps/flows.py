"""The app of the workflow tests: members of groups, and what comes after them."""

from __future__ import annotations

import json
import os
import time

from rmqwork import App, Queue


def note(**fields: object) -> None:
    """A line in the ledger: one write, so that lines of several processes stay whole."""
    with open(os.environ["WORK_LEDGER"], "ab", buffering=0) as file:
        file.write(json.dumps({**fields, "pid": os.getpid()}).encode() + b"\n")


def make(broker: str | None = None) -> App:
    """An app with these tasks."""
    app = App("flows", broker=broker, queues=[Queue("default")], default_queue="default")

    @app.task
    def member(index: int, seconds: float = 0.0) -> int:
        time.sleep(seconds)
        note(what="member", index=index)
        return index

    @app.task
    def body(values: list[int]) -> int:
        note(what="body", values=values)
        return len(values)

    return app


app = make()
