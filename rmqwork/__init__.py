"""Typed background tasks on RabbitMQ that are never silently lost.

Importing this package is cheap: each name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmqwork._canvas.building import chain, chord, group
    from rmqwork._canvas.failed_task import FailedTask
    from rmqwork._canvas.signature import Immutable, Partial, Signature
    from rmqwork._config.settings import Settings
    from rmqwork._messages.message import TaskMessage
    from rmqwork._messages.routing import Route
    from rmqwork._publisher.sender import BlockingCallWarning
    from rmqwork._results.group import GroupResult
    from rmqwork._results.result import AsyncResult
    from rmqwork._results.waiting import as_completed, wait
    from rmqwork._tasks.app import App, TaskSet
    from rmqwork._tasks.context import Context
    from rmqwork._tasks.dependencies import Depends
    from rmqwork._tasks.middleware import Middleware
    from rmqwork._tasks.retry import Retry
    from rmqwork._tasks.task import Task
    from rmqwork._topology.kill_switch import KillSwitch
    from rmqwork._topology.topology import Binding, Exchange, Queue
    from rmqwork._version import __version__
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
    from rmqwork.types import Reject, RetryLater

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
    "__version__": "_version",
    "App": "_tasks.app",
    "AsyncResult": "_results.result",
    "Binding": "_topology.topology",
    "BlockingCallWarning": "_publisher.sender",
    "Context": "_tasks.context",
    "Depends": "_tasks.dependencies",
    "Exchange": "_topology.topology",
    "FailedTask": "_canvas.failed_task",
    "GroupResult": "_results.group",
    "Immutable": "_canvas.signature",
    "Middleware": "_tasks.middleware",
    "Partial": "_canvas.signature",
    "KillSwitch": "_topology.kill_switch",
    "Queue": "_topology.topology",
    "Reject": "types",
    "Retry": "_tasks.retry",
    "RetryLater": "types",
    "Route": "_messages.routing",
    "Settings": "_config.settings",
    "Signature": "_canvas.signature",
    "Task": "_tasks.task",
    "TaskMessage": "_messages.message",
    "TaskSet": "_tasks.app",
    "as_completed": "_results.waiting",
    "chain": "_canvas.building",
    "chord": "_canvas.building",
    "group": "_canvas.building",
    "wait": "_results.waiting",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        value = getattr(import_module(f"rmqwork.{_PLACES.get(name, 'errors')}"), name)
    else:
        from rmqwork._config import celery_names

        hint = celery_names.of_attribute("module", name)
        raise AttributeError(f"module 'rmqwork' has no attribute {name!r}{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
