"""From ``ctx.replace`` to the node that runs in the place of a task, or of an item of a map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rmqwork._messages import headers as names
from rmqwork._tasks.run_plan import Prepared
from rmqwork.types import Replace


class ReplaceItems(Replace):
    """Some items of a ``map`` have put something in their places.

    Args:
        task_id: of the map.
        values: of each item, in order: its value as JSON, or what it has raised.
    """

    def __init__(self, task_id: str, values: list[bytes | Replace]) -> None:
        super().__init__(None, task_id)
        self.values = values


def replacement_of(prepared: Prepared, error: Replace) -> bytes:
    """The JSON of the node that runs in the place of a task.

    Args:
        prepared: the run that was ended.
        error: what ended it.

    Raises:
        RmqworkError: that cannot be run.
    """
    from rmqwork._canvas.freeze import gathering, replacement

    below = inherited(prepared)
    run = (prepared.headers or {}).get(names.RUN)
    if isinstance(error, ReplaceItems):
        signatures = [one if isinstance(one, bytes) else one.signature for one in error.values]
        return gathering(prepared.task_name, error.task_id, signatures, below, run)
    return replacement(error.signature, error.task_id, below, run)


def inherited(prepared: Prepared) -> Mapping[str, Any]:
    """The options of a message that are those of what runs in the place of its task, too."""
    headers = prepared.headers or {}
    below: dict[str, Any] = {}
    users = {key: val for key, val in headers.items() if not key.startswith(("rmqwork-", "x-"))}
    if users:
        below["headers"] = users
    if prepared.priority is not None:
        below["priority"] = prepared.priority
    expires_at = headers.get(names.EXPIRES_AT)
    if isinstance(expires_at, int):
        below["expires"] = datetime.fromtimestamp(expires_at / 1000, UTC)
    place = headers.get(names.PLACE)
    if isinstance(place, str):
        below.update(_place(place))
    return below


def _place(text: str) -> dict[str, str]:
    """The queue, or exchange and routing key, of a workflow; nothing if they cannot be read."""
    from rmqwork._canvas.freeze import PLACES

    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: val for key, val in found.items() if key in PLACES and isinstance(val, str)}
