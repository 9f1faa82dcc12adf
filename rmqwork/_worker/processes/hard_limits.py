"""Hard time limits: which task has run for too long, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rmqwork._config.manifest import TaskEntry
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.crash_policy import after_time_limit
from rmqwork.types import Evidence, Outcome


class HardLimits:
    """The hard time limits of an app's tasks.

    Args:
        tasks: of the app, found by their former names, too.
    """

    def __init__(self, tasks: Mapping[str, TaskEntry]) -> None:
        self._tasks = tasks
        self._any = any(task.hard_time_limit is not None for task in tasks.values())

    def __bool__(self) -> bool:
        """Return True if any task has one."""
        return self._any

    def overdue(
        self, helds: Mapping[int, HeldDelivery], started: Mapping[int, float], now: float
    ) -> Iterator[tuple[int, Outcome]]:
        """Yield what has run for too long: its number, and the outcome that it has when killed.

        Args:
            helds: what an executor has, by number.
            started: since when what it has started runs, by number.
            now: by the clock of ``started``.
        """
        for number, since in started.items():
            held = helds.get(number)
            task = self._tasks.get(str(held.delivery.type)) if held is not None else None
            if held is None or task is None or task.hard_time_limit is None:
                continue
            if now - since > task.hard_time_limit:
                yield number, _outcome(held.attempt, task.max_attempts, task.hard_time_limit)


def _outcome(attempt: int, max_attempts: int | None, limit: float) -> Outcome:
    evidence = Evidence(
        "TimeLimitExceeded", f"it ran longer than its hard time limit of {limit:g} s"
    )
    return after_time_limit(attempt, max_attempts, limit, evidence)
