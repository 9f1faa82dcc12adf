"""The executors for suspects: one for each group of suspects, and none for long without."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from rmqwork._worker.processes.executor import Executor, State
from rmqwork._worker.processes.restarts import Restarts

IDLE_TIMEOUT: Final = 5.0
"""Seconds that an executor for suspects stays without any."""


class IsolatedExecutors:
    """The executors that run suspects only.

    Args:
        fork: starts one; None = that is not possible now.
        clock: seconds that only grow.
    """

    def __init__(
        self, fork: Callable[[], Executor | None], clock: Callable[[], float] = monotonic
    ) -> None:
        self._fork = fork
        self._clock = clock
        self._restarts = Restarts(clock)
        self._from = float("-inf")
        """When the next one may start: they die without having started anything."""
        self._members: dict[Executor, float] = {}
        """Since when each of them has nothing to do."""

    def __contains__(self, executor: object) -> bool:
        return executor in self._members

    def scale(self, suspects: int, most: int) -> None:
        """Have one for each group of suspects; later none.

        Args:
            suspects: groups that wait or run.
            most: how many executors there may be.
        """
        now = self._clock()
        if not suspects:
            self._end_idle(now)
            return
        for _ in range(min(suspects, most) - len(self._members)):
            executor = self._fork() if now >= self._from else None
            if executor is not None:  # else at a later look at the clock
                self._members[executor] = now
        self._members = dict.fromkeys(self._members, now)

    def _end_idle(self, now: float) -> None:
        for executor, since in self._members.items():
            idle = not executor.outstanding and executor.state is State.READY
            if idle and now - since > IDLE_TIMEOUT:
                executor.exit()

    def remove(self, executor: Executor) -> bool:
        """Forget an executor; false: it was none of these."""
        return self._members.pop(executor, None) is not None

    def died_unused(self) -> None:
        """One has died without having started anything: the next one may have to wait."""
        self._from = self._clock() + self._restarts.delay()
