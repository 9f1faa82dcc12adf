"""Signatures as JSON: ``signature.to_json()``; `rmqwork._tasks.signature_reading` is the way back.

A call is ``{"task": name, "fields": {…}, …}``, its arguments by name; a chain ``{"chain": […]}``,
a group ``{"group": […]}``. Nothing is resolved: routes and ids are those of whoever publishes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rmqwork._canvas.spec import Chain, Group, Step, WorkflowSpec
from rmqwork._messages.options import LINKS


def dump(work: WorkflowSpec) -> str:
    """The JSON of a workflow.

    Raises:
        InvalidMessage: an argument does not fit its task.
    """
    return json.dumps(_plain(work), separators=(",", ":"))


def _plain(work: WorkflowSpec) -> dict[str, Any]:
    found: dict[str, Any]
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
    if name in LINKS:
        return [_plain(work) for work in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if isinstance(value, Mapping) else value
