"""What a handler of ``link_error`` is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FailedTask(BaseModel):
    """A task that has failed for good, for handlers of ``link_error``::

        @app.task
        def on_error(failed: FailedTask) -> None:
            print(failed.task, failed.message)

        charge.s(42).link_error(on_error.s()).delay()

    Attributes:
        task_id: its id.
        task: its name.
        reason: as with dead letters: ``failed``, ``rejected``, ``time-limit``, …
        type: the exception's class: ``ValueError``, ``shop.Busy``.
        message: the exception's text.
        traceback: the formatted traceback, or an empty string.
        attempt: which attempt was its last.
        workflow: the id of the workflow that it was part of.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: str
    task: str
    reason: str
    type: str
    message: str
    traceback: str = ""
    attempt: int = 1
    workflow: str = ""
