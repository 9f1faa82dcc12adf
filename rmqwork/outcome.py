"""What running a task can come to, as values; and what a task raises to choose it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class TaskControl(BaseException):
    """What a task raises to steer its own message.

    A `BaseException`, so that ``except Exception`` in user code does not turn it into a success.
    """


class Reject(TaskControl):
    """Send the message to the dead-letter queue now, without another attempt.

    Args:
        reason: shown with the dead letter.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryLater(TaskControl):
    """Run the task again after a while.

    A task without a retry policy may be run again as often as ``Retry()`` allows.

    Args:
        seconds: the delay, which is spent in the broker; None = what the task's policy says.
        count: whether this run counts as an attempt (False: try for as long as it takes).
        reason: shown in the log and, at last, with the dead letter.
    """

    def __init__(self, seconds: float | None = 0.0, count: bool = True, reason: str = "") -> None:
        when = "by the task's policy" if seconds is None else f"in {seconds} s"
        super().__init__(reason or f"retry {when}")
        self.seconds = seconds
        self.count = count
        self.reason = reason


class Replace(TaskControl):
    """Run something else in the place of this task: ``return ctx.replace(signature)``.

    Args:
        signature: what is to run.
        task_id: of the task that is replaced.
    """

    def __init__(self, signature: object, task_id: str) -> None:
        super().__init__(f"replace {task_id} by {signature!r}")
        self.signature = signature
        self.task_id = task_id


class TimeLimitReached(BaseException):
    """Raised in a task that has run for its time limit.

    A `BaseException`, so that ``except Exception`` in user code does not turn it into a success.
    """


class Reason(StrEnum):
    """Why a message is in a dead-letter queue: the values of ``rmqwork-error-reason``."""

    FAILED = "failed"
    REJECTED = "rejected"
    INVALID_MESSAGE = "invalid-message"
    UNKNOWN_TASK = "unknown-task"
    EXPIRED = "expired"
    WORKER_CRASHED = "worker-crashed"
    TIME_LIMIT = "time-limit"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What went wrong, as it is kept with a dead letter and shown in a log line.

    Args:
        type: the exception's class, qualified unless builtin: ``ValueError``, ``shop.Busy``.
        message: the exception's text.
        traceback: the formatted traceback, or an empty string.
        facts: more headers of the dead letter, with their values.
    """

    type: str
    message: str
    traceback: str = ""
    facts: tuple[tuple[str, str | int], ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Success:
    """The task ran to its end. ``result`` is its encoded value; None: nobody wants it."""

    duration: float
    result: bytes | None = None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The task is to run again after ``delay`` seconds; ``counts``: an attempt is spent."""

    duration: float
    delay: float
    counts: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Failure:
    """The message goes to the dead-letter queue for ``reason``."""

    duration: float
    reason: Reason
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Replaced:
    """The task has put something else in its place.

    Args:
        duration: seconds that it ran.
        node: what runs instead, frozen, as JSON (`rmqwork.canvas.flow`); its last task has the id
            of the replaced one.
    """

    duration: float
    node: bytes


Outcome = Success | TryAgain | Failure | Replaced
"""What an executor reports of one delivery."""
