"""What the worker process itself tells those who wait for results.

Replies travel with the decisions (`rmqwork._worker.policy.decide`). Here are the two other ways:
progress, and failures that no executor could write into the store, because it died or never saw
the message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._results import record
from rmqwork._results.writing import keeper_of
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.policy.decide import Decision, PublishThenAck, reply
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.types import Evidence, Failure, Reason

_EVERY: Final = 0.1
_TIMEOUT: Final = 5.0
_NOT_BY_EXECUTORS: Final = frozenset(
    {
        Reason.WORKER_CRASHED,
        Reason.TIME_LIMIT,
        Reason.EXPIRED,
        Reason.INVALID_MESSAGE,
        Reason.UNKNOWN_TASK,
        Reason.REVOKED,
    }
)
"""Reasons for which (also) the worker process gives messages up."""


class ProgressReplies:
    """Tells clients how far tasks are: the last word of each, ten times a second at most.

    Args:
        publisher: of this worker.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._loop = asyncio.get_running_loop()
        self._told: dict[HeldDelivery, tuple[float, float | None]] = {}
        self._scheduled = False

    def tell(self, held: HeldDelivery, current: float, total: float | None) -> None:
        """Note how far a task is."""
        self._told[held] = (current, total)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_later(_EVERY, self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        told, self._told = self._told, {}
        if not self._publisher.connected:
            return
        for held, words in told.items():
            # Nobody looks at what becomes of it: the next word, or the result, says more.
            word = reply(held, record.started(*words))
            self._publisher.submit(Batch(word, _TIMEOUT, best_effort=True))


class FailureWriter:
    """Writes failures into the store, in a thread, and has them settled after that.

    Args:
        plan: of this worker.
        settlement: settles.
    """

    def __init__(self, plan: WorkerSpec, settlement: Settlement) -> None:
        self._tasks = plan.manifest.tasks
        self._settlement = settlement
        self._threads: ThreadPoolExecutor | None = None
        self._keeper = keeper_of(plan.manifest.settings, _pause)
        if self._keeper is not None:
            self._threads = ThreadPoolExecutor(2, "rmqwork-failures")

    def settle(self, held: HeldDelivery, decision: Decision) -> None:
        """Have a decision carried out, once the store has the failure that it is about, if any."""
        failures = self._failures(held, decision)
        if not failures:
            self._settlement.settle(held, decision)
            return
        self._settlement.keep_open(held)

        def written(_: object) -> None:
            self._settlement.settle_kept(held, decision)

        self.keep(failures, self._runs(held, decision)).add_done_callback(written)

    @property
    def wanted(self) -> bool:
        """Whether there is a store."""
        return self._keeper is not None

    def keep(
        self, failures: Mapping[str, Failure], runs: Mapping[str, object]
    ) -> asyncio.Future[None]:
        """Write failures of tasks, by id.

        Args:
            failures: by id.
            runs: which runs of chosen ids these are, by id.
        """
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, self._write, failures, runs)

    def close(self) -> None:
        """Close the store, when nothing is written any more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        if self._keeper is not None:
            self._keeper.close()

    def _write(self, failures: Mapping[str, Failure], runs: Mapping[str, object]) -> None:
        for task_id, failure in failures.items():
            if self._keeper is not None:
                self._keeper.keep(task_id, failure, runs.get(task_id))

    def _runs(self, held: HeldDelivery, decision: Decision) -> Mapping[str, object]:
        runs = decision.runs if isinstance(decision, PublishThenAck) else {}
        return {**runs, held.task_id: held.delivery.headers.get(names.RUN)}

    def _failures(self, held: HeldDelivery, decision: Decision) -> dict[str, Failure]:
        """The failures that no executor has written, by task id."""
        if self._keeper is None or not isinstance(decision, PublishThenAck):
            return {}
        headers = decision.publication.headers
        reason = headers.get(names.ERROR_REASON)
        if reason is None:
            return {}
        words = (headers.get(name) for name in (names.ERROR_TYPE, names.ERROR_MESSAGE))
        failure = Failure(0.0, Reason(str(reason)), Evidence(*map(str, words)))
        failures = dict.fromkeys(decision.never, failure)
        task = self._tasks.get(held.delivery.type or "")
        if reason in _NOT_BY_EXECUTORS and not (task is not None and task.ignore_result):
            failures[held.task_id] = failure
        return failures


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False
