"""Other numbers for a worker that runs: executors, and tasks at once in each of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from rmqwork._control.wire import Command
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork.errors import ConfigurationError

_log = logging.getLogger("rmqwork.worker")
_MAX_NUMBERS: Final = {"processes": 1000, "concurrency": 10_000, "async_concurrency": 1_000_000}
_LANES: Final = {"concurrency": "thread", "async_concurrency": "async"}


def scaled(plan: WorkerSpec, wanted: Mapping[str, Any]) -> WorkerSpec:
    """A plan with other numbers; a lane that no task of the app uses keeps none.

    Args:
        plan: as it is.
        wanted: ``processes``, ``concurrency``, ``async_concurrency``; None = as it is.

    Raises:
        ConfigurationError: a number out of its range.
    """
    for name, most in _MAX_NUMBERS.items():
        value = wanted.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ConfigurationError(f"{name} is a number from 1 to {most}, not {value!r}")
    slots = dict(plan.slots)
    for name, lane in _LANES.items():
        if wanted.get(name) is not None and slots[lane]:
            slots[lane] = wanted[name]
    return replace(plan, processes=wanted.get("processes") or plan.processes, slots=slots)


class Scaling:
    """Changes the numbers of a worker.

    Args:
        plan: the worker's, as it is now.
        resize: gives the worker another one.
    """

    def __init__(
        self, plan: Callable[[], WorkerSpec], resize: Callable[[WorkerSpec], None]
    ) -> None:
        self._plan = plan
        self._resize = resize

    def tell(self, command: Command) -> dict[str, Any]:
        """Do what ``scale`` says; holds until this worker ends.

        Raises:
            ConfigurationError: a number out of its range.
        """
        before = self._plan()
        plan = scaled(before, command.what)
        if plan != before:
            self._resize(plan)
            _log.warning(
                "scaled by %s: %d processes, %s",
                command.by,
                plan.processes,
                ", ".join(f"{count} {lane} tasks in each" for lane, count in plan.slots.items()),
            )
        return {"processes": plan.processes, "slots": dict(plan.slots)}
