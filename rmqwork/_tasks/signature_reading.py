"""Signatures of JSON, of a message, of a task's name: what ``app.signature(…)`` makes.

The JSON is that of `rmqwork._canvas.serial`. A task that the app does not know is taken as it is.
"""

# pyright: reportArgumentType=false
# A task is what `Step` takes, but pyright knows no `functools.cached_property` in a protocol.

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from rmqwork._canvas.remote import RemoteTask
from rmqwork._canvas.spec import Chain, Group, Step, WorkflowSpec
from rmqwork._messages.codec import dump_message, upcast
from rmqwork._messages.message import TaskMessage, message_info
from rmqwork._messages.options import LINKS
from rmqwork._messages.validation import explain
from rmqwork.errors import ConfigurationError, InvalidMessage

if TYPE_CHECKING:
    from rmqwork._tasks.registry import TaskRegistry
    from rmqwork._tasks.task import Task

_MOMENTS: Final = ("eta", "expires")


def load(registry: TaskRegistry, text: str) -> WorkflowSpec:
    """The workflow of its JSON; a task that the app does not know is taken as it is.

    Raises:
        InvalidMessage: it is no signature, or an argument does not fit its task.
    """
    try:
        return _work(registry, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidMessage(f"this is no signature as JSON: {error}") from error


def of_message(registry: TaskRegistry, message: TaskMessage, immutable: bool) -> Step:
    """The call of the task that a message names, whether its function is known here or not."""
    info = message_info(message)
    task = registry.tasks.get(info.name)
    if task is not None and task.name == info.name:  # not its alias: the class is the old one
        return Step(task, (message,), immutable=immutable)
    named = RemoteTask(registry.app, info.name, None, info.version, info.queue, info.partition_key)
    return Step(named, (), json.loads(dump_message(message)), immutable=immutable)


def of_name(
    registry: TaskRegistry,
    name: str,
    fields: Mapping[str, Any],
    into: str | None,
    immutable: bool,
    version: int,
) -> Step:
    """The call of a task by its name.

    Raises:
        InvalidMessage: the fields do not fit.
    """
    task = registry.tasks.get(name)
    if task is None:
        is_open = into is not None and not immutable
        named = RemoteTask(registry.app, name, into, version)
        named.filling.check((), fields, is_open=is_open)
        return Step(named, (), fields, {}, immutable, is_open)
    filling = task.filling
    if into is not None and into != filling.into:
        raise InvalidMessage(
            f"{name}: the value before it becomes its argument {filling.into!r}, not {into!r}"
        )
    if task.parameters.message is not None and (fields or immutable or into is None):
        return Step(task, (task.encode_fields(fields).value,), immutable=immutable)
    is_open = not immutable and filling.is_open((), fields)
    filling.check((), fields, is_open=is_open)
    return Step(task, (), fields, {}, immutable, is_open)


def _work(registry: TaskRegistry, values: Mapping[str, Any]) -> WorkflowSpec:
    given = values.get("options", {})
    options = {key: _option(registry, key, value) for key, value in given.items()}
    if "chain" in values:
        return Chain(tuple(_work(registry, step) for step in values["chain"]), options)
    if "group" in values:
        return Group(tuple(_work(registry, member) for member in values["group"]), options)
    return _step(registry, values, options)


def _option(registry: TaskRegistry, name: str, value: Any) -> Any:
    if name in LINKS:
        return tuple(_work(registry, one) for one in value)
    return datetime.fromisoformat(value) if name in _MOMENTS and isinstance(value, str) else value


def _step(registry: TaskRegistry, values: Mapping[str, Any], options: Mapping[str, Any]) -> Step:
    name, version = values["task"], values.get("version", 1)
    task = registry.tasks.get(name)
    if task is None:
        named = RemoteTask(registry.app, name, values.get("into"), version)
        if "items" in values:
            raise ConfigurationError(f"{name} is not known here, and a map of it needs it")
        fields, immutable = dict(values["fields"]), bool(values.get("immutable"))
        return Step(named, (), fields, options, immutable, bool(values.get("open")))
    if "items" in values:
        bodies = [json.dumps(fields).encode() for fields in values["items"]]
        items = tuple(_arguments(task, body, version, None)[0] for body in bodies)
        return Step(task, options=options, immutable=True, items=items)
    body = json.dumps(values["fields"]).encode()
    is_open = bool(values.get("open"))
    args, kwargs = _arguments(task, body, version, values.get("positional", 0), is_open=is_open)
    task.filling.check(args, kwargs, is_open=is_open)
    immutable = bool(values.get("immutable"))
    return Step(task, args, kwargs, options, immutable, is_open)


def _arguments(
    task: Task[..., Any],
    body: bytes,
    version: int,
    positional: int | None,
    *,
    is_open: bool = False,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, of which the first ``positional`` (None: all) have no name."""
    if task.parameters.message is not None:
        return (() if is_open else (task.body.load(body, version),)), {}
    if version != task.version:
        body = upcast(task.info, body, version)
    try:
        found = task.filling.load(body)
    except ValidationError as error:
        raise InvalidMessage(f"{task.name}: {explain(error)}") from error
    names = task.filling.order(is_open=is_open)[: len(found) if positional is None else positional]
    args = tuple(found.pop(name) for name in names if name in found)
    return args, found
