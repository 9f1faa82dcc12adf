"""Whether the executors answer: each is asked at times, in a thread that its tasks leave alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from rmqwork._config.grace import limit_of
from rmqwork._worker.model.plan import CONSUMER_TIMEOUT, WorkerSpec

EVERY: Final = 5.0
"""Seconds between two questions."""
ANSWER_TIMEOUT: Final = 60.0
"""Seconds in which an executor without tasks must answer."""


class Asked(Protocol):
    """An executor, as far as its pulse is concerned."""

    @property
    def pid(self) -> int | None:
        """Its process; None = it has none yet."""

    def ping(self, number: int) -> None:
        """Have it answer ``("pong", number)``."""

    def started(self) -> Mapping[int, float]:
        """The deliveries that run in it."""
        ...


def answer_timeout(plan: WorkerSpec) -> float:
    """Seconds in which an executor that runs tasks must answer. A task may hold the GIL in C code
    for as long as it is allowed to run; without a limit, until the broker takes its message back.
    """
    queues = {queue for queue, _ in plan.queues}
    limits = [limit_of(task) for task in plan.manifest.tasks.values() if task.queue in queues]
    longest = max((limit or CONSUMER_TIMEOUT for limit in limits), default=0.0)
    return longest + ANSWER_TIMEOUT


@dataclass(slots=True)
class _Beat:
    asked: float
    answered: bool = False


class LivenessCheck:
    """The last question to each executor, and whether it has answered.

    Args:
        with_tasks: seconds of patience with an executor that runs tasks.
    """

    def __init__(self, with_tasks: float) -> None:
        self._with_tasks = with_tasks
        self._beats: dict[Asked, _Beat] = {}
        self._number = 0
        self.silent: Mapping[int, float] = {}
        """The executors that have not answered in time, by their process, with the seconds."""
        self.alive = True
        """Whether there is an executor that may be hoped for."""

    def beat(self, executors: Iterable[Asked], now: float) -> None:
        """Ask those whose turn it is; draw up who is silent.

        Args:
            executors: that are ready.
            now: as ``time.monotonic()``.
        """
        self._beats = {one: self._beats.get(one) or self._ask(one, now) for one in executors}
        for one, beat in self._beats.items():
            if beat.answered and now - beat.asked >= EVERY:
                self._beats[one] = self._ask(one, now)
        self.silent = {
            one.pid or 0: round(now - beat.asked, 1)
            for one, beat in self._beats.items()
            if not beat.answered and now - beat.asked > self._patience(one)
        }
        self.alive = not self._beats or len(self.silent) < len(self._beats)

    def _ask(self, one: Asked, now: float) -> _Beat:
        self._number += 1
        one.ping(self._number)
        return _Beat(now)

    def _patience(self, one: Asked) -> float:
        running: Collection[int] = one.started()
        return self._with_tasks if running else ANSWER_TIMEOUT

    def answered(self, one: Asked) -> None:
        """It has answered."""
        beat = self._beats.get(one)
        if beat is not None:
            beat.answered = True
