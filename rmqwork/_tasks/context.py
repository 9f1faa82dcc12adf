"""`Context`: what a running task may know of its message and of its worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, NoReturn, Protocol

from rmqwork._config.celery_names import NamesCeleryWords
from rmqwork._config.logging import FieldsAdapter
from rmqwork.types import Replace, RetryLater

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from rmqwork._canvas.signature import Signature

    R = TypeVar("R")
    State = TypeVar("State", default=object)
else:
    from typing import TypeVar

    State = TypeVar("State")

Progress = Callable[[float, float | None], None]


class Signal(Protocol):
    """What can be asked of ``Context.stopping``; a `threading.Event` does."""

    def is_set(self) -> bool:
        """Whether the worker is shutting down."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is, at most ``timeout`` seconds; returns whether it is."""
        ...


def _no_progress(current: float, total: float | None) -> None:
    """Outside of a worker nobody listens."""


NEVER: Signal = threading.Event()
"""Never set: outside of a worker nothing shuts down."""


class Context(NamesCeleryWords, Generic[State]):
    """What a task gets beside its message, if a parameter is annotated with it.

    ``Context[State]`` says of which type ``state`` is; for a bare ``Context`` it is an object.

    Attributes:
        task_id: the id of the message; all its attempts share it.
        task: the task's name.
        attempt: which run this is, from 1.
        max_attempts: how often it may run, or None when only the policy's ``stop`` says.
        queue: from which queue it came; empty when the task runs in place.
        headers: of the message, as far as they concern the application.
        redelivered: whether it may have run before without a settlement.
        deadline: when its time limit ends, in seconds since the epoch; None = no limit.
        state: what the app's lifespan has yielded in this process; None without one.
        stopping: set when the worker shuts down; long tasks look at it and end early.
        workflow: the id of the workflow that it is of; empty: of none.
    """

    _celery_kind: ClassVar = "context"

    __slots__ = (
        "_progress",
        "attempt",
        "deadline",
        "headers",
        "max_attempts",
        "queue",
        "redelivered",
        "state",
        "stopping",
        "task",
        "task_id",
        "workflow",
    )

    def __init__(
        self,
        task_id: str,
        task: str,
        state: State,
        *,
        attempt: int = 1,
        max_attempts: int | None = 1,
        queue: str = "",
        headers: Mapping[str, object] | None = None,
        redelivered: bool = False,
        deadline: float | None = None,
        stopping: Signal = NEVER,
        progress: Progress = _no_progress,
        workflow: str = "",
    ) -> None:
        self.task_id = task_id
        self.task = task
        self.state = state
        self.attempt = attempt
        self.max_attempts = max_attempts
        self.queue = queue
        self.headers: Mapping[str, object] = {} if headers is None else headers
        self.redelivered = redelivered
        self.deadline = deadline
        self.stopping = stopping
        self.workflow = workflow
        self._progress = progress

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry ``task_id``, ``task``, ``queue``, ``attempt``, in a workflow
        ``workflow``, and what is given as ``extra=``: a field whose name is taken is called
        ``extra_…``."""
        extra = {
            "task_id": self.task_id,
            "task": self.task,
            "queue": self.queue,
            "attempt": self.attempt,
        }
        if self.workflow:
            extra["workflow"] = self.workflow
        return FieldsAdapter(logging.getLogger("rmqwork.task"), extra)

    def progress(self, current: float, total: float | None = None) -> None:
        """Tell how far the task is; whoever watches it sees the last word."""
        self._progress(current, total)

    def retry(self, countdown: float | None = None, *, count: bool = True) -> NoReturn:
        """End this run and run the task again.

        Args:
            countdown: seconds until then; None = what the task's policy says.
            count: whether this run counts as an attempt.

        Raises:
            RetryLater: always; it must not be caught.
        """
        raise RetryLater(countdown, count=count)

    def replace(self, signature: Signature[R]) -> R:
        """End this run, and run something else in the place of the task: ``return ctx.replace(…)``.

        It always raises an exception, which must not be caught.

        What comes after the task in its workflow comes after that; its last task has this task's
        id, so that whoever waits gets its value. The queue that was set for the workflow, and the
        headers, priority and expiry of this task's message are those of all in it that says
        nothing else. In a ``map``, ``starmap`` or ``chunks`` it takes the place of one item.

        Args:
            signature: a call or a workflow that ends in one task.
        """
        raise Replace(signature, self.task_id)

    def __repr__(self) -> str:
        return f"<Context {self.task} {self.task_id} attempt {self.attempt}>"
