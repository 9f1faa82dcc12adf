"""Make a `Task` of a function and of what ``@app.task(...)`` was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rmqwork._config import celery_names
from rmqwork._messages.message import check_task_name, message_info
from rmqwork._results.values import Returns
from rmqwork._tasks.dependencies import Injector
from rmqwork._tasks.parameters import Parameters, parameters_of
from rmqwork._tasks.task import AsyncTask, Task, TaskOwner
from rmqwork._tasks.task_options import TaskOptions
from rmqwork._topology.partitions import check_field
from rmqwork.errors import ConfigurationError


def make_task(
    registry: TaskOwner,
    function: Callable[..., Any],
    given: Mapping[str, Any],
    localns: Mapping[str, Any] | None,
) -> Task[..., Any]:
    """The task of a function.

    Args:
        registry: where it is declared.
        function: sync or async.
        given: ``name`` and what `TaskOptions` has.
        localns: the names of the function around it, if there is one.

    Raises:
        ConfigurationError: the function, its name or its options cannot be used.
    """
    task_options = dict(given)
    name = task_options.pop("name", None)
    where = f"task {name or getattr(function, '__qualname__', repr(function))!r}"
    options = _options_of(task_options, where)
    parameters = parameters_of(function, where, localns)
    full_name = _name_of(registry, function, parameters, name, where)
    if parameters.message is not None and options.queue is not None:
        raise ConfigurationError(
            f"{where}: write queue={options.queue!r} at class {parameters.message.__name__}, so "
            "that whoever publishes the message without this function routes it alike"
        )
    if parameters.message is not None and options.partition_key is not None:
        raise ConfigurationError(
            f"{where}: write partition_key={options.partition_key!r} at class "
            f"{parameters.message.__name__}, so that whoever publishes it chooses alike"
        )
    if parameters.message is not None and options.version is not None:
        raise ConfigurationError(
            f"{where}: write version={options.version} at class {parameters.message.__name__}, so "
            "that whoever publishes it says the same"
        )
    if full_name in options.aliases:
        raise ConfigurationError(
            f"{where}: {full_name!r} is its name now; aliases are former names"
        )
    check_field(options.partition_key, parameters.names, where)
    injector = None
    if parameters.dependants:
        injector = Injector(
            where, parameters.dependants, is_async=parameters.is_async, localns=localns
        )
    cls = AsyncTask if parameters.is_async else Task
    returns = Returns(function, localns)
    return cls(registry, function, parameters, full_name, options, injector, returns)


def _options_of(given: Mapping[str, Any], where: str) -> TaskOptions:
    known = ["name", *TaskOptions.__dataclass_fields__]
    if unknown := sorted(given.keys() - set(known)):
        raise ConfigurationError(
            f"{where}: unknown option {', '.join(map(repr, unknown))}; there are "
            f"{', '.join(known)}{celery_names.of_tasks(unknown)}"
        )
    try:
        return TaskOptions(**given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _name_of(
    registry: TaskOwner,
    function: Callable[..., Any],
    parameters: Parameters,
    name: str | None,
    where: str,
) -> str:
    if parameters.message is not None:
        named = message_info(parameters.message).name
        if name is not None and name != named:
            raise ConfigurationError(
                f"{where}: its message class {parameters.message.__name__} names it {named!r}; "
                "leave name= out"
            )
        return named
    if name is not None:
        return check_task_name(name, where)
    own = getattr(function, "__name__", None)
    if own is None or own == "<lambda>":
        raise ConfigurationError(f"{where}: it has no name of its own; give name=")
    return check_task_name(f"{registry.name}.{own}", where)
