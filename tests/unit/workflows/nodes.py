"""Hand-written nodes, and what the publications of a workflow say."""

from __future__ import annotations

import itertools
import json
from typing import Any

from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.document import Workflow, detach
from rmqwork.types import Publication

CARRY = WorkflowContext("wf", 1000.0, reply_to="replies", app_id="shop")
_numbers = itertools.count()


def task(task_id: str = "", into: str | None = "x", **more: Any) -> dict[str, Any]:
    """A task's node; takes a value as ``x`` unless told otherwise."""
    node = {
        "task": "shop.add",
        "id": task_id or f"id-{next(_numbers)}",
        "exchange": "rmqwork.tasks",
        "key": "low",
        "body": {"y": 1},
        **more,
    }
    return node if into is None else {**node, "into": into}


def carried(publication: Publication) -> Workflow:
    """The workflow that a publication carries."""
    found = detach(publication.headers, publication.body)
    assert found is not None
    return found[0]


def body(publication: Publication) -> Any:
    """The body of its task, read."""
    found = detach(publication.headers, publication.body)
    return json.loads(publication.body if found is None else found[1])


def ids(publications: list[Publication]) -> list[str]:
    """Their message ids, in order."""
    return [publication.message_id for publication in publications]
