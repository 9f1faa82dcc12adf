"""Typed background tasks on RabbitMQ that are never silently lost.

Importing this package is cheap: each name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmqwork.app import App
    from rmqwork.canvas.building import chain, chord, group
    from rmqwork.canvas.failed import FailedTask
    from rmqwork.canvas.signature import Immutable, Partial, Signature
    from rmqwork.config import Settings
    from rmqwork.context import Context
    from rmqwork.dependencies import Depends
    from rmqwork.errors import (
        BrokerBlocked,
        BrokerUnavailable,
        ConfigurationError,
        InvalidMessage,
        Nacked,
        PublishError,
        PublishTimeout,
        ResultsDisabled,
        ResultTimeout,
        RmqworkError,
        TaskFailed,
        TaskRejected,
        TaskRevoked,
        TimeLimitExceeded,
        TopologyMismatch,
        UnknownTask,
        Unroutable,
        WorkerCrashed,
    )
    from rmqwork.kill_switch import KillSwitch
    from rmqwork.message import TaskMessage
    from rmqwork.middleware import Middleware
    from rmqwork.outcome import Reject, RetryLater
    from rmqwork.registry import TaskSet
    from rmqwork.results import AsyncResult, GroupResult, as_completed, wait
    from rmqwork.retry import Retry
    from rmqwork.routing import Route
    from rmqwork.sending import BlockingCallWarning
    from rmqwork.task import Task
    from rmqwork.topology import Binding, Exchange, Queue

    __version__: str

__all__ = [
    "App",
    "AsyncResult",
    "Binding",
    "BlockingCallWarning",
    "BrokerBlocked",
    "BrokerUnavailable",
    "ConfigurationError",
    "Context",
    "Depends",
    "Exchange",
    "FailedTask",
    "GroupResult",
    "Immutable",
    "InvalidMessage",
    "KillSwitch",
    "Middleware",
    "Nacked",
    "Partial",
    "PublishError",
    "PublishTimeout",
    "Queue",
    "Reject",
    "ResultTimeout",
    "ResultsDisabled",
    "Retry",
    "RetryLater",
    "RmqworkError",
    "Route",
    "Settings",
    "Signature",
    "Task",
    "TaskFailed",
    "TaskMessage",
    "TaskRejected",
    "TaskRevoked",
    "TaskSet",
    "TimeLimitExceeded",
    "TopologyMismatch",
    "UnknownTask",
    "Unroutable",
    "WorkerCrashed",
    "__version__",
    "as_completed",
    "chain",
    "chord",
    "group",
    "wait",
]

_PLACES = {
    "App": "app",
    "AsyncResult": "results",
    "Binding": "topology",
    "BlockingCallWarning": "sending",
    "Context": "context",
    "Depends": "dependencies",
    "Exchange": "topology",
    "FailedTask": "canvas.failed",
    "GroupResult": "results",
    "Immutable": "canvas.signature",
    "Middleware": "middleware",
    "Partial": "canvas.signature",
    "KillSwitch": "kill_switch",
    "Queue": "topology",
    "Reject": "outcome",
    "Retry": "retry",
    "RetryLater": "outcome",
    "Route": "routing",
    "Settings": "config",
    "Signature": "canvas.signature",
    "Task": "task",
    "TaskMessage": "message",
    "TaskSet": "registry",
    "as_completed": "results",
    "chain": "canvas.building",
    "chord": "canvas.building",
    "group": "canvas.building",
    "wait": "results",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("rmqwork")
        except PackageNotFoundError:  # run from a source tree
            value = "0+unknown"
    elif name in __all__:
        value = getattr(import_module(f"rmqwork.{_PLACES.get(name, 'errors')}"), name)
    else:
        raise AttributeError(f"module 'rmqwork' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
