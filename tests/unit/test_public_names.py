"""All that is public, written out: a name that comes, goes or moves is seen in a review.

Public is a module whose path has no underscore, and in it what ``__all__`` names, or where there is
none, each name that the module defines without an underscore.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import rmqwork

PUBLIC = {
    "rmqwork": [
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
    ],
    "rmqwork.deadletters": [
        "DeadLetter",
        "DeadLetters",
        "Group",
        "GroupKey",
        "Groups",
        "Imported",
        "Reading",
        "ReplayOptions",
        "Replayed",
        "Selection",
        "Visit",
        "aread",
        "ascan",
        "read",
        "scan",
    ],
    "rmqwork.errors": [
        "BrokerBlocked",
        "BrokerUnavailable",
        "ConfigurationError",
        "InvalidMessage",
        "Nacked",
        "PublishError",
        "PublishTimeout",
        "ResultTimeout",
        "ResultsDisabled",
        "RmqworkError",
        "TaskFailed",
        "TaskRejected",
        "TaskRevoked",
        "TimeLimitExceeded",
        "TopologyMismatch",
        "UnknownTask",
        "Unroutable",
        "WorkerCrashed",
    ],
    "rmqwork.sealing": [
        "Keys",
        "Seal",
        "SigningKeys",
        "VerifyKeys",
    ],
    "rmqwork.testing": [
        "Broker",
        "BrokerOperationError",
        "Eager",
        "Kit",
        "ManualClock",
        "MemoryBroker",
        "Published",
        "Run",
        "RunReport",
        "Sent",
        "TestWorker",
        "eager",
        "memory",
        "real",
        "start_broker",
        "vhost",
    ],
    "rmqwork.testing.broker": [
        "Broker",
        "BrokerOperationError",
        "Kind",
        "start_broker",
        "vhost",
    ],
    "rmqwork.testing.kit": [
        "Kit",
        "RunReport",
        "memory",
        "real",
    ],
    "rmqwork.testing.plugin": [
        "eager",
        "published",
        "pytest_addoption",
        "pytest_configure",
        "rmqwork_app",
        "rmqwork_kit",
        "rmqwork_rabbitmq",
        "rmqwork_rabbitmq_broker",
        "rmqwork_target",
        "run_all",
    ],
    "rmqwork.testing.published": [
        "Published",
        "RecordingPort",
        "Sent",
        "What",
    ],
    "rmqwork.testing.worker": [
        "Run",
        "TestWorker",
        "TestWorkerOptions",
    ],
    "rmqwork.types": [
        "Delivery",
        "Evidence",
        "Failure",
        "Header",
        "Headers",
        "Outcome",
        "Publication",
        "Reason",
        "Reject",
        "Replace",
        "Replaced",
        "RetryLater",
        "RetryOutcome",
        "Server",
        "SettleChannel",
        "Success",
        "TaskControl",
        "TimeLimitReached",
        "Verdict",
    ],
}


def public_modules() -> list[str]:
    """The paths of all modules without an underscore, in order."""
    found = [one.name for one in pkgutil.walk_packages(rmqwork.__path__, "rmqwork.")]
    return sorted({"rmqwork", *(name for name in found if "._" not in name)})


def names_of(module: str) -> list[str]:
    """The public names of a module, in order."""
    loaded = import_module(module)
    if hasattr(loaded, "__all__"):
        return sorted(loaded.__all__)
    assert loaded.__file__ is not None
    tree = ast.parse(Path(loaded.__file__).read_text())
    return sorted(name for node in tree.body for name in _defined(node) if name[0] != "_")


def _defined(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Assign(targets=targets):
            yield from (one.id for one in targets if isinstance(one, ast.Name))


def test_the_public_modules_are_these() -> None:
    assert public_modules() == list(PUBLIC)


@pytest.mark.parametrize("module", PUBLIC)
def test_its_public_names_are_these(module: str) -> None:
    assert names_of(module) == PUBLIC[module]


@pytest.mark.parametrize("module", PUBLIC)
def test_each_name_is_there(module: str) -> None:
    loaded = import_module(module)

    assert [name for name in PUBLIC[module] if not hasattr(loaded, name)] == []
