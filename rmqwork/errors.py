"""Every error that rmqwork raises, in one tree::

    RmqworkError
    ├── ConfigurationError          the app, a task, a route or a setting is wrong
    │   └── TopologyMismatch        the broker holds the object with other properties
    ├── PublishError                a message was not (known to be) taken by the broker
    │   ├── Unroutable              no queue for its route
    │   ├── Nacked                  the queue refused it (full)
    │   ├── PublishTimeout          no confirm in time (also a TimeoutError)
    │   ├── BrokerUnavailable       no connection in time
    │   └── BrokerBlocked           an alarm on the broker holds publishers back
    ├── InvalidMessage              a body or arguments that do not fit the task's message
    ├── UnknownTask                 no task of that name
    ├── TaskFailed                  the task ended in failure, as its result says
    │   ├── TimeLimitExceeded
    │   ├── WorkerCrashed
    │   ├── TaskRevoked
    │   └── TaskRejected
    ├── ResultTimeout               no result in time (also a TimeoutError)
    └── ResultsDisabled             the app or the task keeps no results

Each message says what happened, to which name, and what to do now; none prints a password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class RmqworkError(Exception):
    """The root of all errors of rmqwork."""


class ConfigurationError(RmqworkError):
    """The app, a task, a route or a setting cannot be used as it is written."""


class TopologyMismatch(ConfigurationError):
    """An exchange or a queue exists on the broker with properties that do not suit.

    Args:
        message: what differs and what to do.
        differences: a field each, with both sides; their texts are the lines of the error.
    """

    def __init__(self, message: str, differences: Sequence[object] = ()) -> None:
        self.differences = tuple(map(str, differences))
        self.found = tuple(differences)
        super().__init__("\n  ".join([message, *self.differences]))


class PublishError(RmqworkError):
    """A message was not taken by the broker, or nobody knows whether it was.

    Args:
        message: what happened and what to do.
        task_id: the message's id; it may be used again for another try.
        may_have_arrived: true when the outcome is unknown (sent, and no answer came).
        failures: for a call with many messages, the error of each id that failed.
    """

    def __init__(
        self,
        message: str,
        *,
        task_id: str | None = None,
        may_have_arrived: bool = False,
        failures: Mapping[str, PublishError] | None = None,
    ) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.may_have_arrived = may_have_arrived
        self.failures: dict[str, PublishError] = dict(failures or {})


class Unroutable(PublishError):
    """The broker has no queue for the message's exchange and routing key."""


class Nacked(PublishError):
    """The broker refused the message: its queue is full (``x-overflow: reject-publish``)."""


class PublishTimeout(PublishError, TimeoutError):
    """The broker did not confirm in time; the message may have arrived."""


class BrokerUnavailable(PublishError):
    """No connection to the broker could be had in time."""


class BrokerBlocked(PublishError):
    """The broker holds publishers back (a memory or disk alarm) and did not clear in time."""


class InvalidMessage(RmqworkError):
    """A body, or the arguments of a call, do not validate against the task's message model."""


class UnknownTask(RmqworkError):
    """No task of that name is known here."""


class TaskFailed(RmqworkError):
    """A task ended in failure somewhere else.

    Args:
        message: what the remote error said.
        remote_type: the name of the remote exception's class.
        remote_traceback: its traceback as text, or an empty string.
        task_id: which task.
        reason: a `rmqwork.types.Reason`; or ``result-lost``: the task succeeded, and its value
            could not be kept.
    """

    def __init__(
        self,
        message: str,
        *,
        remote_type: str = "",
        remote_traceback: str = "",
        task_id: str | None = None,
        reason: str = "failed",
    ) -> None:
        super().__init__(message)
        self.remote_type = remote_type
        self.remote_traceback = remote_traceback
        self.task_id = task_id
        self.reason = reason


class TimeLimitExceeded(TaskFailed):
    """The task ran longer than its time limit."""


class WorkerCrashed(TaskFailed):
    """The process that ran the task died, as often as the task may be tried."""


class TaskRevoked(TaskFailed):
    """The task was revoked before or while it ran."""


class TaskRejected(TaskFailed):
    """The task asked for its message to be dead-lettered (``Reject``)."""


class ResultTimeout(RmqworkError, TimeoutError):
    """The task's result did not come in time; the task may still be running."""


class ResultsDisabled(RmqworkError):
    """The app has no result back end, or the task ignores its result."""
