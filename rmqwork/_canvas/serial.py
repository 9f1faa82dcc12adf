"""Signatures as JSON, and back: ``signature.to_json()``, ``app.signature(text)``.

A call is ``{"task": name, "fields": {…}, …}``, its arguments by name; a chain ``{"chain": […]}``,
a group ``{"group": […]}``. Nothing is resolved: routes and ids are those of whoever publishes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from rmqwork._canvas.remote import RemoteTask
from rmqwork._canvas.spec import Chain, Group, Step, WorkflowSpec
from rmqwork._messages.codec import dump_message
from rmqwork._messages.message import TaskMessage, message_info
from rmqwork._messages.validation import explain
from rmqwork.errors import ConfigurationError, InvalidMessage

if TYPE_CHECKING:
    from rmqwork._tasks.app import App

_LINKS: Final = ("link", "link_error")
_MOMENTS: Final = ("eta", "expires")


def dump(work: WorkflowSpec) -> str:
    """The JSON of a workflow.

    Raises:
        InvalidMessage: an argument does not fit its task.
    """
    return json.dumps(_plain(work), separators=(",", ":"))


def load(app: App, text: str) -> WorkflowSpec:
    """The workflow of its JSON; a task that the app does not know is taken as it is.

    Raises:
        InvalidMessage: it is no signature, or an argument does not fit its task.
    """
    try:
        return _work(app, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidMessage(f"this is no signature as JSON: {error}") from error


def of_message(app: App, message: TaskMessage, immutable: bool) -> Step:
    """The call of the task that a message names, whether its function is known here or not."""
    info = message_info(message)
    task = app.tasks.get(info.name)
    if task is not None:
        return Step(task, (message,), immutable=immutable)
    named = RemoteTask(app, info.name, None, info.version, info.queue, info.partition_key)
    return Step(named, (), json.loads(dump_message(message)), immutable=immutable)


def of_name(
    app: App,
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
    task = app.tasks.get(name)
    if task is None:
        is_open = into is not None and not immutable
        step = Step(RemoteTask(app, name, into, version), (), fields, {}, immutable, is_open)
        step.task.filling.check((), fields, is_open=is_open)
        return step
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


def _plain(work: WorkflowSpec) -> dict[str, Any]:
    match work:
        case Step():
            found = _plain_step(work)
        case Chain(steps):
            found = {"chain": [_plain(step) for step in steps]}
        case Group(members):
            found = {"group": [_plain(member) for member in members]}
    if work.options:
        found["options"] = {key: _plain_option(key, val) for key, val in work.options.items()}
    return found


def _plain_step(step: Step) -> dict[str, Any]:
    task = step.task
    found: dict[str, Any] = {"task": task.name}
    if step.items is not None:
        found["items"] = [json.loads(task.encode(args, {}).body) for args in step.items]
        return found
    if step.is_open:
        body = task.filling.given(step.args, step.kwargs, is_open=True)[1]
        found |= {"open": True, "into": task.filling.into}
    else:
        body = task.encode(step.args, step.kwargs).body
    found |= {"fields": json.loads(body), "positional": len(step.args)}
    if task.version != 1:
        found["version"] = task.version
    if step.immutable:
        found["immutable"] = True
    return found


def _plain_option(name: str, value: Any) -> Any:
    if name in _LINKS:
        return [_plain(work) for work in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if isinstance(value, Mapping) else value


def _work(app: App, values: Mapping[str, Any]) -> WorkflowSpec:
    given = values.get("options", {})
    options = {key: _option(app, key, value) for key, value in given.items()}
    if "chain" in values:
        return Chain(tuple(_work(app, step) for step in values["chain"]), options)
    if "group" in values:
        return Group(tuple(_work(app, member) for member in values["group"]), options)
    return _step(app, values, options)


def _option(app: App, name: str, value: Any) -> Any:
    if name in _LINKS:
        return tuple(_work(app, one) for one in value)
    return datetime.fromisoformat(value) if name in _MOMENTS and isinstance(value, str) else value


def _step(app: App, values: Mapping[str, Any], options: Mapping[str, Any]) -> Step:
    name, version = values["task"], values.get("version", 1)
    task = app.tasks.get(name)
    if task is None:
        named = RemoteTask(app, name, values.get("into"), version)
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
    task: Any, body: bytes, version: int, positional: int | None, *, is_open: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, of which the first ``positional`` (None: all) have no name."""
    if task.parameters.message is not None:
        return (() if is_open else (task.body.load(body, version),)), {}
    try:
        found = task.filling.load(body)
    except ValidationError as error:
        raise InvalidMessage(f"{task.name}: {explain(error)}") from error
    names = task.filling.order(is_open=is_open)[: len(found) if positional is None else positional]
    args = tuple(found.pop(name) for name in names if name in found)
    return args, found
