"""High and low priority: two queues, a worker for each, so that neither waits for the other.

In the folder `examples/`:

    rmqwork worker priorities.app:app -Q high_priority       # in one terminal
    rmqwork worker priorities.app:app -Q low_priority        # in a second one
    python -m priorities.publish                             # in a third one

Or one worker for both, which takes from low_priority only while high_priority is empty:

    rmqwork worker priorities.app:app -Q high_priority,low_priority

or three of the one for each of the other: -Q high_priority:3,low_priority:1.
"""

from __future__ import annotations

import time

from pydantic import Field

from rmqwork import App, Queue, TaskMessage

app = App(
    "priorities",
    queues=[Queue("high_priority"), Queue("low_priority")],
    default_queue="low_priority",
)


class SendReceipt(TaskMessage, name="receipts.send", queue="high_priority"):
    """A customer is waiting for it."""

    order: int
    email: str


class BuildReport(TaskMessage, name="reports.build", queue="low_priority"):
    """Nobody is waiting; it takes a while."""

    day: str
    seconds: float = Field(default=0.5, ge=0)


@app.task
def send_receipt(message: SendReceipt) -> None:
    """Quick."""
    print(f"receipt of order {message.order} sent to {message.email}", flush=True)


@app.task
def build_report(message: BuildReport) -> None:
    """Slow."""
    time.sleep(message.seconds)
    print(f"report of {message.day} is built", flush=True)
