"""Results of tasks: what a publisher holds after a publish, and the back ends behind it.

The worker process needs records and addresses only: each name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmqwork.results.group import GroupResult
    from rmqwork.results.many import as_completed, wait
    from rmqwork.results.record import Progress, State
    from rmqwork.results.result import AsyncResult

__all__ = ["AsyncResult", "GroupResult", "Progress", "State", "as_completed", "wait"]

_PLACES = {
    "AsyncResult": "result",
    "GroupResult": "group",
    "Progress": "record",
    "State": "record",
    "as_completed": "many",
    "wait": "many",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'rmqwork.results' has no attribute {name!r}")
    value = getattr(import_module(f"rmqwork.results.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
