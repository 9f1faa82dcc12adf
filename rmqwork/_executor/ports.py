"""What the executors ask of the code that runs tasks."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Protocol

from rmqwork._tasks.evidence import text_of, type_name
from rmqwork._worker.ipc.wire import Message
from rmqwork.types import Evidence, Failure, Outcome, Reason

Keep = Callable[[Message, Outcome], Outcome]
"""Writes an outcome's result into a store before it is reported; returns what is to be reported."""


class Runner(Protocol):
    """Runs tasks; its methods do not raise, whatever the task does (apart from interruptions)."""

    def prepare(self, message: Message) -> Any | Failure:
        """Decode and validate a delivery message.

        What it returns has a ``task_name``, for the log, and a ``time_limit`` in seconds or None.
        """

    def run(self, prepared: Any) -> Outcome:
        """Run a task in this thread.

        Raises:
            TimeLimitReached: it was raised in this thread.
        """
        ...

    def timed_out(self, prepared: Any, seconds: float) -> Outcome:
        """The outcome of a run that was stopped at its time limit."""
        ...

    async def arun(self, prepared: Any, ended: Callable[[], bool]) -> Outcome | None:
        """Run a coroutine task; None when it was cancelled, and ``ended`` says: by the worker."""


def broken(error: BaseException) -> Failure:
    """The outcome of a run in which rmqwork itself failed: kept as evidence, nothing is lost."""
    text = "".join(traceback.format_exception(error))
    evidence = Evidence(type_name(type(error)), text_of(error), text)
    return Failure(0.0, Reason.FAILED, evidence)
