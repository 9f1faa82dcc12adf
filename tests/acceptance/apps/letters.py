"""The app of the dead-letter verbs' tests: one task whose message can be mended."""

from __future__ import annotations

from pydantic import Field

from rmqwork import App, Queue, TaskMessage

app = App("letters", queues=[Queue("q"), Queue("p")])


class Add(TaskMessage, name="shop.add"):
    """A message with a field that can be wrong."""

    n: int = Field(ge=0)


@app.task
def add(message: Add) -> int:
    """Take it."""
    return message.n
