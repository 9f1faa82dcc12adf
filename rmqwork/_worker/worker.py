"""The worker process: holds the connections, settles every delivery, runs no user code."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from rmqwork._publisher.publisher import Publisher
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import Connector
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.consume.flow_control import FlowControl
from rmqwork._worker.consume.kill_switches import KillSwitches
from rmqwork._worker.consume.queues import worker_queues
from rmqwork._worker.consume.suspect_prefetch import SuspectPrefetch
from rmqwork._worker.control.commands import Control, Verb
from rmqwork._worker.control.inspection import Inspection, Parts, Stacks
from rmqwork._worker.control.log_levels import LogLevels
from rmqwork._worker.control.pausing import Pausing
from rmqwork._worker.control.revoking import Revoking
from rmqwork._worker.control.scaling import Scaling
from rmqwork._worker.dispatch.backlog import Backlog
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.intake import Intake
from rmqwork._worker.joins.joiner import Joiner
from rmqwork._worker.model.lifecycle import Lifecycle
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.outcomes import Observer, Outcomes
from rmqwork._worker.partitions import PartitionRunner
from rmqwork._worker.policy.revocations import Revocations
from rmqwork._worker.policy.triage import Triage
from rmqwork._worker.processes.delivering import give
from rmqwork._worker.processes.executor import Executor
from rmqwork._worker.processes.executor_pool import ExecutorPool
from rmqwork._worker.processes.liveness import LivenessCheck, answer_timeout
from rmqwork._worker.processes.template import Template
from rmqwork._worker.reports import ProcessReports
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.replies import FailureWriter, ProgressReplies
from rmqwork._worker.settle.settlement import Settlement
from rmqwork._worker.waiting import Waiting

TICK: Final = 0.2
"""Seconds between two looks at the clock: flow, time limits, liveness."""


class Worker:
    """The rooms of a worker process, wired to each other.

    Deliveries come in by `Intake`, go out to executors by the dispatcher, come back by
    `ProcessReports` to `Outcomes`, and leave by the settlement. `rmqwork._worker.shutdown` ends it.

    Args:
        plan: what this worker is to do, from its options and the app's manifest.
        template: the process that forks executors.
        new_template: starts another one, should it die.
        stop: begins the shutdown of this worker, when an operator asks for it.
        connector: where connections to the broker come from; None = as the plan says.
        observer: is told of each outcome before it is settled.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        template: Template,
        new_template: Callable[[], Template],
        stop: Callable[[], None],
        connector: Connector | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.plan = plan
        self.lifecycle = Lifecycle()
        self.last_tick = monotonic()
        """When the loop last turned, as ``time.monotonic()``."""
        numbers = itertools.count(1)
        memory = RedeliveryMemory()
        revocations = Revocations()

        # the connections
        connector = connector or connect(plan.broker, plan.heartbeat)
        self.publisher = Publisher(
            connector, plan.declarations, f"rmqwork worker {plan.name} (publish)", eager=True
        )
        self.consumption = ConsumerConnection(
            connector, plan.declarations, (), f"rmqwork worker {plan.name} (consume)"
        )

        # what waits. Intake comes last: it needs what gives deliveries back to it.
        self.ready = Ready(plan.queues)
        self.dispatcher: Dispatcher[Executor] = Dispatcher(
            self.ready, plan.slots, give, plan.processes
        )
        self.switches = KillSwitches(
            plan.kill_switches,
            self.consumption,
            lambda held: self.intake.admit(held),
            lambda queue: self.plan.first_prefetch(queue),
        )
        suspects = SuspectPrefetch(self.consumption, plan.slots, plan.processes)
        self.flow = FlowControl(
            lambda: self.plan,
            self.consumption,
            self.switches,
            suspects,
            lambda held: self.partitions.gone(held),
            lambda: self.dispatcher.apart,
            lambda queue: self.settlement.overdue(queue),
        )

        # what is settled
        self.settlement = Settlement(
            self.publisher, memory, self.flow.settled, self.consumption.repair, host=plan.name
        )
        self.failures = FailureWriter(plan, self.settlement)
        backlog = Backlog(self.ready, self.dispatcher.suspects, self.switches)
        self.partitions = PartitionRunner(
            plan,
            self.consumption,
            self.publisher,
            self.settlement,
            memory,
            self.lifecycle,
            backlog,
            numbers,
            lambda held: self.intake.consider(held),
            lambda held: self.intake.admit(held),
        )
        triage = Triage(plan, lambda: self.consumption.server, revocations.evidence)
        self.waiting = Waiting(
            self.lifecycle,
            self.dispatcher,
            backlog,
            self.partitions,
            self.consumption,
            self.settlement,
            self.failures,
            memory,
            triage,
            revocations,
        )

        # what runs
        self.joins = Joiner(
            plan,
            connector,
            self.publisher,
            self.failures,
            self.consumption.may_start,
            self.consumption.repair,
        )
        self.outcomes = Outcomes(
            plan,
            memory,
            self.partitions,
            self.switches,
            self.joins,
            self.settlement,
            self.failures,
            self.waiting,
            observer,
        )
        self.pool = ExecutorPool(
            plan,
            template,
            new_template,
            self.dispatcher,
            self.outcomes,
            self.waiting,
            self.lifecycle,
        )

        # what operators and probes are told
        names = [queue for queue, _ in plan.queues]
        self.pausing = Pausing(names, self.consumption, self.dispatcher, self.waiting)
        self.revoking = Revoking(plan, self.dispatcher, self.pool, self.waiting, revocations)
        self.liveness = LivenessCheck(answer_timeout(plan))
        self._inspection = Inspection(
            Parts(
                lambda: self.plan,
                lambda: self.lifecycle.stopping,
                lambda: self.partitions.waiting,
                self.ready,
                self.dispatcher,
                self.pool,
                self.consumption,
                self.publisher,
                self.settlement,
                self.switches,
                self.joins,
            )
        )
        stacks = Stacks(self.dispatcher)
        log_levels = LogLevels(self.pool.answering)
        verbs: dict[str, Verb] = {
            "inspect": self._inspection.tell,
            "stack": stacks.tell,
            "log-level": log_levels.tell,
            "scale": Scaling(lambda: self.plan, self.resize).tell,
        }
        self.control = Control(plan, self.publisher, self.pausing, self.revoking, verbs, stop)

        # the traffic
        self.intake = Intake(
            plan,
            self.lifecycle,
            numbers,
            memory,
            triage,
            suspects,
            self.switches,
            self.partitions,
            self.flow,
            self.dispatcher,
            self.settlement,
            self.failures,
            self.waiting,
            self.pool.scale_isolated,
            self.pausing.release,
        )
        self.reports = ProcessReports(
            plan,
            self.dispatcher,
            self.pool,
            self.outcomes,
            self.waiting,
            self.revoking,
            self.publisher,
            ProgressReplies(self.publisher),
            self.joins,
            self.liveness,
            stacks,
            log_levels,
            self.consumption.start,
        )
        self.consumption.add(worker_queues(plan.consumers(), self.intake))

    async def tick(self) -> None:
        """Look after what time brings, until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self.last_tick = monotonic()
            self.pool.watch()
            self.liveness.beat(self.pool.answering(), self.last_tick)
            self.revoking.enforce()
            self.switches.watch()
            self.partitions.watch()
            if not self.lifecycle.stopping:
                if self.consumption.consuming:
                    self.settlement.forget_unsettled()
                if self.plan.prefetch is None:
                    self.flow.follow(TICK)

    def detail(self) -> Mapping[str, object]:
        """Return what probes and people are told."""
        return {
            **self._inspection.detail(),
            "paused": self.pausing.detail(),
            "control": self.control.follower.problem or "on",
        }

    def resize(self, plan: WorkerSpec) -> None:
        """Have other numbers of executors and tasks from now on."""
        self.plan = plan
        self.dispatcher.resize(plan.slots)
        self.pool.scale(plan)

    def stop(self) -> None:
        """Let nothing start from now on; what comes, or comes back, is held back."""
        if self.consumption.consuming:
            self.settlement.forget_unsettled()
        self.lifecycle.stop()
        self.dispatcher.stop()
        self.waiting.hold_back()
