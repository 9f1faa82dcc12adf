"""The executors of a worker: started, replaced when they die, and who is to blame when they do."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from time import monotonic
from typing import Final

from rmqwork._config.logging import FIELDS, TRACEBACK
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.lifecycle import Lifecycle
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.policy.crash_policy import after_crash, crash_evidence, with_words
from rmqwork._worker.processes.executor import Executor, State
from rmqwork._worker.processes.hard_limits import HardLimits
from rmqwork._worker.processes.isolated import IsolatedExecutors
from rmqwork._worker.processes.ports import Finisher, Returned
from rmqwork._worker.processes.recycling import Recycling
from rmqwork._worker.processes.restarts import Restarts
from rmqwork._worker.processes.template import Template, TemplateKilled
from rmqwork.types import Outcome

_log = logging.getLogger("rmqwork.worker.processes")
_RENEWALS: Final = 10
"""Templates that may be killed in a row, before the worker gives up."""
_RENEWAL_LOOK: Final = 0.1


class ExecutorPool:
    """All executors of a worker.

    Args:
        plan: how many, and the tasks' limits.
        template: forks them.
        new_template: starts another one, should it die.
        dispatcher: gives deliveries to executors.
        outcomes: takes what was running in a dead executor, with the outcome that this is.
        waiting: takes what a dead executor had and is to run elsewhere.
        lifecycle: of the worker: at its end, none is replaced.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        template: Template,
        new_template: Callable[[], Template],
        dispatcher: Dispatcher[Executor],
        outcomes: Finisher,
        waiting: Returned,
        lifecycle: Lifecycle,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._plan = plan
        self._new_template = new_template
        self._dispatcher = dispatcher
        self._outcomes = outcomes
        self._waiting = waiting
        self._lifecycle = lifecycle
        self._loop = asyncio.get_running_loop()
        self._restarts = Restarts(clock)
        self._isolated = IsolatedExecutors(self._fork_isolated, clock)
        self._used_up: set[Executor] = set()
        self._condemned: dict[Executor, tuple[int, Outcome]] = {}
        self._limits = HardLimits(plan.manifest.tasks)
        self.recycling = Recycling(
            plan.max_tasks, plan.max_memory, self._fork_replacement, self._retire
        )
        self.template = template
        self.failure: asyncio.Future[str] = self._loop.create_future()
        """Set with a reason when no executor can be had."""

    def start(self) -> None:
        """Fork all executors."""
        for _ in range(self._plan.processes):
            self._fork()

    def is_isolated(self, executor: Executor) -> bool:
        """Whether an executor is for suspects only."""
        return executor in self._isolated

    def answering(self) -> list[Executor]:
        """Those that should answer when they are asked."""
        return [one for one in self.template.executors.values() if one.state is State.READY]

    def summary(self) -> list[Mapping[str, object]]:
        """Its executors, for people."""
        return [
            {
                "pid": executor.pid,
                "state": executor.state.value,
                "isolated": self.is_isolated(executor),
                "running": len(executor.outstanding),
            }
            for executor in self.template.executors.values()
        ]

    def scale(self, plan: WorkerSpec) -> None:
        """Have other numbers from now on: executors come or go at once, and those with other
        numbers of tasks are replaced one by one."""
        self._plan = plan
        there = self._regular()
        for _ in range(plan.processes - len(there)):
            self._fork()
        surplus = sorted(there, key=lambda one: len(one.outstanding))
        for executor in surplus[: max(0, len(there) - plan.processes)]:
            self.recycling.dismiss(executor)

    def _regular(self) -> list[Executor]:
        """The executors that count against the plan's number."""
        return [
            one
            for one in self.template.executors.values()
            if one.state in (State.STARTING, State.READY)
            and one not in self._isolated
            and self.recycling.counts(one)
        ]

    def _resize(self) -> None:
        """Replace the next executor that has other numbers of tasks than the plan says."""
        wanted = (self._plan.slots["thread"], self._plan.slots["async"])
        for one in self._regular():
            if (one.threads, one.async_tasks) != wanted:
                self.recycling.replace(one, "the number of its tasks at once was changed")
                return

    def _fork(self) -> None:
        if self._lifecycle.stopping or len(self._regular()) >= self._plan.processes:
            return
        if self.template.alive:
            self._fork_one()
        else:  # until there is another template
            self._loop.call_later(_RENEWAL_LOOK, self._fork)

    def _fork_one(self, *, isolated: bool = False) -> Executor:
        slots = self._plan.slots
        return self.template.fork(slots["thread"], slots["async"], isolated=isolated)

    def _fork_isolated(self) -> Executor | None:
        return self._fork_one(isolated=True) if self.template.alive else None

    def _fork_replacement(self) -> Executor | None:
        may = self.template.alive and not self._lifecycle.stopping
        return self._fork_one() if may else None

    def _retire(self, executor: Executor) -> None:
        if not self._lifecycle.stopping:
            self._dispatcher.close_seat(executor)
            executor.exit()

    def retire_after_task(self, executor: Executor) -> None:
        """It has run a task that wants a process of its own: it leaves, its children with it."""
        if self._isolated.remove(executor):
            self._used_up.add(executor)
            self._dispatcher.close_seat(executor)
            self.template.kill_with_children(executor.id)
            executor.exit()
            self.scale_isolated()

    # ── deaths ────────────────────────────────────────────────────────────────────────────────

    def died(self, executor: Executor, death: Death, helds: Sequence[HeldDelivery]) -> None:
        """An executor is dead: say why, see to its deliveries, replace it."""
        isolated = self._isolated.remove(executor) or executor in self._used_up
        self._used_up.discard(executor)
        condemned = self._condemned.pop(executor, None)
        started = [held for held in helds if held.number in death.unfinished]
        self._waiting.not_started([held for held in helds if held.number not in death.unfinished])
        if self._lifecycle.stopping:
            for held in started:
                self._outcomes.finish(held, None)
            return
        if death.pid is None and death.error and not self.template.executors:
            if not self.failure.done():
                self.failure.set_result(death.error)
            return
        if condemned is not None:
            self._executed(*condemned, started, death)
        elif started:
            fields = {FIELDS: {TRACEBACK: death.words.fault}} if death.words.fault else None
            text = death.text
            _log.error(
                "executor %s: %s, with %d running", death.pid, text, len(started), extra=fields
            )
            self._blame(started, death)
        elif not death.expected:
            text, traceback = death.account
            fields = {FIELDS: {TRACEBACK: traceback}} if traceback else None
            _log.error("executor %s: %s", death.pid, text, extra=fields)
        if self.recycling.died(executor):
            return
        if not isolated:
            self._replace()
        elif not (started or death.expected):
            self._isolated.died_unused()

    def _blame(self, started: Sequence[HeldDelivery], death: Death) -> None:
        """One alone is to blame; many run again without others, and nobody pays."""
        if len(started) > 1:
            self._waiting.suspected(started)
            self.scale_isolated()
            return
        [held] = started
        task = self._plan.manifest.tasks[str(held.delivery.type)]
        evidence = crash_evidence(death, death.unfinished[held.number])
        outcome = after_crash(held.attempt, task.max_attempts, evidence)
        self._outcomes.finish(held, outcome, crashed=True)

    def kill_because_of(self, executor: Executor, number: int, outcome: Outcome) -> None:
        """Kill an executor because of one task, which has this outcome then; its other tasks run
        again, for free."""
        if executor not in self._condemned:
            self._condemned[executor] = (number, outcome)
            executor.kill(signal.SIGKILL)

    def _executed(
        self, number: int, outcome: Outcome, started: Sequence[HeldDelivery], death: Death
    ) -> None:
        """An executor was killed because of one task."""
        self._waiting.not_started([held for held in started if held.number != number])
        for held in started:
            if held.number == number:
                words = death.words.since(death.unfinished[number])
                self._outcomes.finish(held, with_words(outcome, words))

    def template_died(self, text: str) -> None:
        """The template is dead, and so are its executors: begin with a new one."""
        if self._lifecycle.stopping:
            return
        _log.error("%s; starting another one", text)
        self._loop.create_task(self._renew(), name="rmqwork-template")

    async def _renew(self) -> None:
        """Start another template; one that is killed while it imports the app is no reason to give
        up at once (memory was short, maybe).
        """
        restarts = Restarts(self._clock)
        reason = ""
        for attempt in range(_RENEWALS):
            self.template = self._new_template()
            try:
                await self.template.manifest()
            except TemplateKilled as error:
                reason = str(error)
                _log.warning("%s (%d of %d)", error, attempt + 1, _RENEWALS)
                await asyncio.sleep(restarts.delay())
            except Exception as error:
                reason = str(error)
                break
            else:
                return
        if not self.failure.done():
            self.failure.set_result(reason)

    def _replace(self) -> None:
        delay = self._restarts.delay()
        if delay:
            _log.warning("executors keep dying; the next one starts in %.1f s", delay)
        self._loop.call_later(delay, self._fork)

    # ── the clock ─────────────────────────────────────────────────────────────────────────────

    def watch(self) -> None:
        """Kill what has run beyond its hard limit; let executors for suspects go or come."""
        if self._limits:
            self._kill_overdue()
        self.recycling.watch(seat.executor for seat in self._dispatcher.seats if not seat.isolated)
        self.scale_isolated()
        self._resize()

    def _kill_overdue(self) -> None:
        now = self._clock()
        for seat in list(self._dispatcher.seats):
            if seat.executor not in self._condemned:
                overdue = self._limits.overdue(seat.held, seat.executor.started(), now)
                for number, outcome in islice(overdue, 1):
                    self.kill_because_of(seat.executor, number, outcome)

    def scale_isolated(self) -> None:
        """Have as many executors as groups of suspects wait, up to ``-p`` of them; later none."""
        self._isolated.scale(len(self._dispatcher.suspects), self._plan.processes)
