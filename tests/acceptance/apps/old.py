"""The app of before a roll-out: it knows none of the tasks of `work`."""

from __future__ import annotations

from rmqwork import App

app = App("old", queues=["default"])


@app.task
def something_else() -> None: ...
