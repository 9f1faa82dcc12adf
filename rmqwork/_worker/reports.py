"""`ProcessReports`: what the template and the executors of a worker say, passed to its rooms."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._worker.control.inspection import Stacks
from rmqwork._worker.control.log_levels import LogLevels
from rmqwork._worker.control.revoking import Revoking
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.ipc import wire
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.joins.joiner import Joiner
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.outcomes import Outcomes
from rmqwork._worker.processes.executor import Executor
from rmqwork._worker.processes.executor_pool import ExecutorPool
from rmqwork._worker.processes.liveness import LivenessCheck
from rmqwork._worker.processes.template import Template
from rmqwork._worker.settle.replies import ProgressReplies
from rmqwork._worker.waiting import Waiting
from rmqwork.errors import PublishError

_log = logging.getLogger("rmqwork.worker")


class ProcessReports:
    """Hears the processes; see `rmqwork._worker.processes.template.PoolEvents`.

    Args:
        plan: says which tasks are isolated.
        dispatcher: knows which executor has which delivery.
        pool: the executors.
        outcomes: takes what has run.
        waiting: takes what has not.
        revoking: knows why a task was cancelled.
        publisher: publishes for tasks.
        progress: tells clients how far tasks are.
        joins: are told what tasks publish.
        liveness: is told who answers.
        stacks: are told where tasks stand.
        log_levels: are set in new executors.
        started: called when an executor takes deliveries.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        dispatcher: Dispatcher[Executor],
        pool: ExecutorPool,
        outcomes: Outcomes,
        waiting: Waiting,
        revoking: Revoking,
        publisher: Publisher,
        progress: ProgressReplies,
        joins: Joiner,
        liveness: LivenessCheck,
        stacks: Stacks,
        log_levels: LogLevels,
        started: Callable[[], None],
    ) -> None:
        self._is_isolated = plan.is_isolated
        self._dispatcher = dispatcher
        self._pool = pool
        self._outcomes = outcomes
        self._waiting = waiting
        self._revoking = revoking
        self._publisher = publisher
        self._progress_replies = progress
        self._joins = joins
        self._liveness = liveness
        self._stacks = stacks
        self._log_levels = log_levels
        self._started = started

    def on_messages(self, executor: Executor, messages: list[wire.Message]) -> None:
        """Take what an executor reports."""
        for message in messages:
            kind = message[0]
            if kind == "o":
                number, outcome = wire.outcome_of(message)
                held = self._dispatcher.take(executor, number, outcome.duration)
                if held is not None:
                    if held.alone and self._is_isolated(held.delivery.type):
                        self._pool.retire_after_task(executor)
                    self._outcomes.finish(held, outcome)
            elif kind == "publish":
                self._publish(executor, *message[1:])
            elif kind == "back":
                self._given_back(executor, message[1])
            elif kind == "cancelled":
                held = self._dispatcher.take(executor, message[1])
                if held is not None:
                    self._outcomes.finish(held, self._revoking.ended(held))
            elif kind == "progress":
                self._progress(executor, *message[1:])
            elif kind == "stack":
                self._stacks.answered(message[1], message[2])
            elif kind == "pong":
                self._liveness.answered(executor)
            elif kind == "warning":
                self.on_warning(message[1])
        if not self._pool.is_isolated(executor):
            self._pool.recycling.look(executor)

    def on_ready(self, executor: Executor) -> None:
        """Give an executor deliveries from now on."""
        self._log_levels.greet(executor)
        slots = {"thread": executor.threads, "async": executor.async_tasks}
        self._dispatcher.add(executor, self._pool.is_isolated(executor), slots)
        self._pool.recycling.ready(executor)
        self._started()

    def on_death(self, executor: Executor, death: Death) -> None:
        """Take what a dead executor had; all that it wrote was given to `on_messages` before."""
        self._pool.died(executor, death, self._dispatcher.remove(executor))

    def on_template_death(self, template: Template, text: str) -> None:
        """Begin with another template; the deaths of its executors follow."""
        self._pool.template_died(text)

    def on_warning(self, text: str) -> None:
        """Log something that people should know."""
        _log.warning("%s", text)

    def _given_back(self, executor: Executor, numbers: Sequence[int]) -> None:
        helds = [self._dispatcher.take(executor, number) for number in numbers]
        self._waiting.not_started([held for held in helds if held is not None])

    def _progress(
        self, executor: Executor, number: int, current: float, total: float | None
    ) -> None:
        seat = self._dispatcher.seat(executor)
        held = seat.held.get(number) if seat is not None else None
        if held is not None and held.delivery.reply_to:
            self._progress_replies.tell(held, current, total)

    def _publish(
        self,
        executor: Executor,
        request: int,
        publications: Sequence[wire.Message],
        timeout: float,
    ) -> None:
        """Publish for a task over this process's connection; the task waits for the confirm."""
        batch = Batch([wire.publication_of(values) for values in publications], timeout)

        def answer(future: Future[list[PublishError | None]]) -> None:
            executor.published(request, future.exception() or future.result())

        batch.future.add_done_callback(answer)
        self._publisher.submit(batch)
        self._joins.saw(entry.publication for entry in batch.entries)
