"""The worker process: holds the connections, settles every delivery, runs no user code."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from time import monotonic
from typing import Final

from rmqwork._messages.ids import uuid7
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import Connector, ConsumeChannel
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.consume.kill_switches import KillSwitches
from rmqwork._worker.consume.queues import worker_queues
from rmqwork._worker.consume.suspect_prefetch import (
    SuspectPrefetch,
    is_first,
    is_from_suspects,
)
from rmqwork._worker.control.commands import Control, Verb
from rmqwork._worker.control.inspection import Inspection, Parts, Stacks
from rmqwork._worker.control.log_levels import LogLevels
from rmqwork._worker.control.pausing import Pausing
from rmqwork._worker.control.revoking import Revoking
from rmqwork._worker.control.scaling import Scaling
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.ipc import wire
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.joins.joiner import Joiner
from rmqwork._worker.model.flow import Throughput, changed_prefetch, wanted_prefetch
from rmqwork._worker.model.held import HeldDelivery, Stage, attempt_of
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.partitions import PartitionRunner, readopt
from rmqwork._worker.policy.crash_policy import delivery_count, hand_back_counts
from rmqwork._worker.policy.decide import HandBack, Hold, PublishThenAck, again, decide
from rmqwork._worker.policy.task_log import report
from rmqwork._worker.policy.triage import Triage
from rmqwork._worker.processes.delivering import give
from rmqwork._worker.processes.executor import Executor
from rmqwork._worker.processes.executor_pool import ExecutorPool
from rmqwork._worker.processes.liveness import LivenessCheck, answer_timeout
from rmqwork._worker.processes.template import Template
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.replies import FailureWriter, ProgressReplies
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.errors import PublishError
from rmqwork.types import Delivery, Evidence, Failure, Outcome, Reason, RetryOutcome

_log = logging.getLogger("rmqwork.worker")
TICK: Final = 0.2
"""Seconds between two looks at the clock: flow, time limits, liveness."""


class Worker:
    """What happens in the worker process between two turns of its loop.

    Deliveries come in by `delivered`, go out to executors by the dispatcher, come back by
    `on_messages`, and leave by the settlement. `rmqwork._worker.shutdown` ends it.

    Args:
        plan: what this worker is to do, from its options and the app's manifest.
        template: the process that forks executors.
        new_template: starts another one, should it die.
        stop: begins the shutdown of this worker, when an operator asks for it.
        connector: where connections to the broker come from; None = as the plan says.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        template: Template,
        new_template: Callable[[], Template],
        stop: Callable[[], None],
        connector: Connector | None = None,
    ) -> None:
        self.plan = plan
        self.stopping = False
        self.memory = RedeliveryMemory()
        self.ready = Ready(plan.queues)
        self.dispatcher: Dispatcher[Executor] = Dispatcher(
            self.ready, plan.slots, give, plan.processes
        )
        self.staff = ExecutorPool(plan, template, new_template, self)
        connector = connector or connect(plan.broker, plan.heartbeat)
        self.publisher = Publisher(
            connector, plan.declarations, f"rmqwork worker {plan.name} (publish)", eager=True
        )
        self.consumption = ConsumerConnection(
            connector,
            plan.declarations,
            worker_queues(plan.consumers(), self),
            f"rmqwork worker {plan.name} (consume)",
        )
        self.settlement = Settlement(
            self.publisher, self.memory, self._settled, self.consumption.repair
        )
        self.caution = SuspectPrefetch(self.consumption, plan.slots, plan.processes)
        self.switches = KillSwitches(
            plan.kill_switches,
            self.consumption,
            self.admit,
            lambda queue: self.plan.first_prefetch(queue),
        )
        self.lines = PartitionRunner(
            plan, self.consumption, self.publisher, self.settlement, self.memory, self
        )
        names = [queue for queue, _ in plan.queues]
        self.pausing = Pausing(names, self.consumption, self.dispatcher, self)
        self.revoking = Revoking(plan, self.dispatcher, self.staff, self)
        self._triage = Triage(plan, lambda: self.consumption.server, self.revoking.revoked)
        self.progress = ProgressReplies(self.publisher)
        self.kept = FailureWriter(plan, self.settlement)
        self.pulse = LivenessCheck(answer_timeout(plan))
        self.joins = Joiner(
            plan,
            connector,
            self.publisher,
            self.kept,
            self.consumption.may_start,
            self.consumption.repair,
        )
        self._inspection = Inspection(
            Parts(
                lambda: self.plan,
                lambda: self.stopping,
                lambda: self.lines.waiting,
                self.ready,
                self.dispatcher,
                self.staff,
                self.consumption,
                self.publisher,
                self.settlement,
                self.switches,
                self.joins,
            )
        )
        self._stacks = Stacks(self.dispatcher)
        self._log_levels = LogLevels(self.staff.answering)
        verbs: dict[str, Verb] = {
            "inspect": self._inspection.tell,
            "stack": self._stacks.tell,
            "log-level": self._log_levels.tell,
            "scale": Scaling(lambda: self.plan, self.resize).tell,
        }
        self.control = Control(plan, self.publisher, self.pausing, self.revoking, verbs, stop)
        self.last_tick = monotonic()
        """When the loop last turned, as ``time.monotonic()``."""
        self.returned: list[HeldDelivery] | None = None
        """While consumers are being cancelled: what is to be handed back after that."""
        self.unfinished: list[HeldDelivery] = []
        """Tasks that were ended before their end, by a shutdown."""
        self._lanes: dict[str, set[str]] = {queue: set() for queue, _ in plan.queues}
        self._numbers = itertools.count(1)
        self._throughput = {queue: Throughput() for queue, _ in plan.queues}

    # ── deliveries come in ────────────────────────────────────────────────────────────────────

    def delivered(self, queue: str, delivery: Delivery) -> None:
        """A message has come; see `rmqwork._worker.consume.ports.WorkerHandler`."""
        task_id = delivery.message_id or uuid7()
        held = HeldDelivery(next(self._numbers), delivery, queue, task_id, attempt_of(delivery))
        held.partition = self.lines.partition_of(delivery)
        if held.came_before and self._recalled(held):
            return
        if self.stopping:
            self.hand_back(held)
        else:
            self.consider(held)

    def next_number(self) -> int:
        """A number that no delivery of this worker has had."""
        return next(self._numbers)

    def consider(self, held: HeldDelivery) -> None:
        """Have a delivery run, unless something else is decided of it."""
        if not self.caution.came(held):
            self.dispatcher.suspects.keep(held)
            return
        decision = self._triage.decide(held)
        if isinstance(decision, Hold):
            self.lines.hold(held, decision.delay)
            return
        if decision is not None:
            self.kept.settle(held, decision)
            return
        self._lanes[held.queue].add(held.lane)
        self.admit(held)

    def admit(self, held: HeldDelivery) -> None:
        """Have a delivery run as soon as there is room for it, and its queue's switch lets it."""
        if not self.switches.admits(held) or (held.partition and not self.lines.admits(held)):
            return
        if is_first(held) and not self.is_isolated(held):
            self.dispatcher.suspect_first(held)
        elif is_from_suspects(held) or held.suspected or self.is_isolated(held):
            self.dispatcher.suspect([held])
        else:
            self.dispatcher.put(held)
            return
        self.staff.scale_isolated()

    def is_isolated(self, held: HeldDelivery) -> bool:
        """Whether its task wants a process of its own for each run."""
        return self.plan.is_isolated(held.delivery.type)

    def _recalled(self, held: HeldDelivery) -> bool:
        """Whether a redelivery is something that this worker has done, or is doing."""
        known = self.memory.recall(held)
        if isinstance(known, HeldDelivery):
            _log.info("%s was delivered again while it runs; its run goes on", held.task_id)
            readopt(known, held.delivery)
            self.caution.came(known)
            if known.stage is Stage.WAITING:
                self.lines.adopted(known)
        elif known is not None:
            _log.info("%s was delivered again after it was done; it is settled", held.task_id)
            self.settlement.unsettled = max(0, self.settlement.unsettled - 1)
            self.settlement.settle(held, known)
        return known is not None

    def channel_lost(self, channel: ConsumeChannel) -> None:
        """A channel ended: what waits is forgotten, what runs waits for its redelivery."""
        self.settlement.unsettled += self.memory.unproven(channel)
        self.memory.lost(channel)
        self.ready.forget(channel)
        self.dispatcher.forget_suspects(channel)
        if self.returned:
            self.returned = [held for held in self.returned if held.settleable]
        for held in (*self.dispatcher.running, *self.settlement.open):
            if held.delivery.channel is channel:
                self.memory.runs_on(held)
        self.lines.channel_lost(channel)

    # ── outcomes come back from executors ─────────────────────────────────────────────────────

    def on_messages(self, executor: Executor, messages: list[wire.Message]) -> None:
        """What an executor reports; see `rmqwork._worker.processes.template.PoolEvents`."""
        for message in messages:
            kind = message[0]
            if kind == "o":
                number, outcome = wire.outcome_of(message)
                held = self.dispatcher.take(executor, number, outcome.duration)
                if held is not None:
                    if held.alone and self.is_isolated(held):
                        self.staff.retire_after_task(executor)
                    self.finish(held, outcome)
            elif kind == "publish":
                self._publish(executor, *message[1:])
            elif kind == "back":
                self._given_back(executor, message[1])
            elif kind == "cancelled":
                held = self.dispatcher.take(executor, message[1])
                if held is not None:
                    self.finish(held, self.revoking.ended(held))
            elif kind == "progress":
                self._progress(executor, *message[1:])
            elif kind == "stack":
                self._stacks.answered(message[1], message[2])
            elif kind == "pong":
                self.pulse.answered(executor)
            elif kind == "warning":
                _log.warning("%s", message[1])
        if not self.staff.is_isolated(executor):
            self.staff.recycling.look(executor)

    def finish(self, held: HeldDelivery, outcome: Outcome | None, crashed: bool = False) -> None:
        """Settle what has run.

        Args:
            held: the delivery.
            outcome: None = it did not come to an end, and is handed back.
            crashed: whether it killed its process; its next attempt is isolated, then.
        """
        self.memory.finished(held)
        report(held, outcome)
        if outcome is None:
            self.unfinished.append(held)
            self.hand_back(held)
        elif held.partition is not None and isinstance(outcome, RetryOutcome):
            self.lines.retry(held, outcome, alone=crashed)
        else:
            self.switches.ended(held, outcome)
            back_to = self.plan.suspects(held.queue) if crashed else None
            decision = decide(held, outcome, self.plan.name, back_to)
            if isinstance(decision, PublishThenAck) and held.carried is not None:
                self.joins.saw(decision.publications)
            if type(outcome) is Failure or (
                isinstance(decision, PublishThenAck) and decision.never
            ):
                self.kept.settle(held, decision)
            else:
                self.settlement.settle(held, decision)

    def _given_back(self, executor: Executor, numbers: Sequence[int]) -> None:
        helds = [self.dispatcher.take(executor, number) for number in numbers]
        self.not_started([held for held in helds if held is not None])

    def not_started(self, helds: Sequence[HeldDelivery]) -> None:
        """Deliveries that an executor had and did not start are for another one, or go back."""
        for held in helds:
            self.memory.finished(held)
        if self.stopping:
            for held in helds:
                self.hand_back(held)
        else:
            self.dispatcher.put_back([held for held in helds if self._is_to_run(held)])

    def _is_to_run(self, held: HeldDelivery) -> bool:
        """Whether a delivery that has come back unstarted is to run; settles it, if not."""
        if not held.settleable:
            return False
        evidence = self.revoking.revoked(held)
        if evidence is not None:
            self.refuse(held, Reason.REVOKED, evidence)
        elif self.consumption.reasons(held.queue):
            self.hand_back(held)
        else:
            return True
        return False

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted of the deliveries that no executor has."""
        waiting = self.ready.remove(unwanted) + self.dispatcher.suspects.remove(unwanted)
        return waiting + self.switches.remove(unwanted) + self.lines.remove(unwanted)

    def refuse(self, held: HeldDelivery, reason: Reason, evidence: Evidence) -> None:
        """Dead-letter a delivery that has not run, and must not any more."""
        self.kept.settle(held, self._triage.refused(held, reason, evidence))

    def suspects_stopped(self, queue: str) -> None:
        """A suspects queue has no consumer; see `rmqwork._worker.consume.ports.WorkerHandler`."""
        for held in self.dispatcher.suspects.take_kept(queue):
            self.hand_back(held)
        self.caution.ended(queue)

    def paused(self, queue: str) -> None:
        """A queue is not consumed any more; see `rmqwork._worker.consume.ports.WorkerHandler`."""
        if queue in self.lines:
            self.lines.release(queue)
        else:
            self.pausing.release(queue)

    def holds(self, partition: str) -> bool:
        """See `rmqwork._worker.consume.ports.WorkerHandler`."""
        return self.lines.holds(partition)

    def suspected(self, helds: Sequence[HeldDelivery]) -> None:
        """Deliveries that ran in a process that died: they run again, isolated. Those whose
        channel is gone will come again, and there is no run left for them to adopt.
        """
        for held in helds:
            self.memory.finished(held)
        self.dispatcher.suspect([held for held in helds if held.settleable])

    def hand_back(self, held: HeldDelivery) -> None:
        """Give a delivery back to its queue; not before the consumers are cancelled."""
        if held.partition is not None:
            self.lines.hand_back(held)
        elif self.returned is not None:
            self.returned.append(held)
        elif hand_back_counts(delivery_count(held.delivery), self.consumption.server):
            self.settlement.settle(held, PublishThenAck(again(held, 0.0, {})))
        else:
            self.settlement.settle(held, HandBack())

    def _settled(self, held: HeldDelivery) -> None:
        self._throughput[held.queue].add()
        self.switches.gone(held)
        self.caution.gone(held)
        if held.partition is not None:
            self.lines.gone(held)

    def _progress(
        self, executor: Executor, number: int, current: float, total: float | None
    ) -> None:
        seat = self.dispatcher.seat(executor)
        held = seat.held.get(number) if seat is not None else None
        if held is not None and held.delivery.reply_to:
            self.progress.tell(held, current, total)

    def _publish(
        self,
        executor: Executor,
        request: int,
        publications: Sequence[wire.Message],
        timeout: float,
    ) -> None:
        """A task publishes: over this process's connection, and it waits for the confirm."""
        batch = Batch([wire.publication_of(values) for values in publications], timeout)

        def answer(future: Future[list[PublishError | None]]) -> None:
            executor.published(request, future.exception() or future.result())

        batch.future.add_done_callback(answer)
        self.publisher.submit(batch)
        self.joins.saw(entry.publication for entry in batch.entries)

    # ── executors come and go ─────────────────────────────────────────────────────────────────

    def on_ready(self, executor: Executor) -> None:
        """An executor takes deliveries from now on."""
        self._log_levels.greet(executor)
        slots = {"thread": executor.threads, "async": executor.async_tasks}
        self.dispatcher.add(executor, self.staff.is_isolated(executor), slots)
        self.staff.recycling.ready(executor)
        self.consumption.may_start.set()

    def on_death(self, executor: Executor, death: Death) -> None:
        """An executor is dead; all that it has written was given to `on_messages` before."""
        self.staff.died(executor, death, self.dispatcher.remove(executor))

    def on_template_death(self, template: Template, text: str) -> None:
        """The template died; its executors follow."""
        self.staff.template_died(text)

    def on_warning(self, text: str) -> None:
        """Something that people should know."""
        _log.warning("%s", text)

    # ── the clock ─────────────────────────────────────────────────────────────────────────────

    async def tick(self) -> None:
        """Look after what time brings, until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self.last_tick = monotonic()
            self.staff.watch()
            self.pulse.beat(self.staff.answering(), self.last_tick)
            self.revoking.enforce()
            self.switches.watch()
            self.lines.watch()
            if self.consumption.consuming and not self.stopping:
                self.settlement.unsettled = 0  # what is not settled comes again, to whomever
            if self.plan.prefetch is None and not self.stopping:
                self._follow_throughput()

    def _follow_throughput(self) -> None:
        for queue, throughput in self._throughput.items():
            rate = throughput.rate(TICK)
            if self.switches.restricts(queue) or self.plan.is_partitioned(queue):
                continue
            slots = self.plan.capacity(queue, self._lanes[queue]) + self.dispatcher.apart
            wanted = wanted_prefetch(slots, rate, self.plan.mixed(queue))
            changed = changed_prefetch(self.consumption.prefetch(queue), wanted)
            if changed is not None:
                self.consumption.set_prefetch(queue, changed)

    def detail(self) -> Mapping[str, object]:
        """What probes and people are told."""
        return {
            **self._inspection.detail(),
            "paused": self.pausing.detail(),
            "control": self.control.follower.problem or "on",
        }

    def resize(self, plan: WorkerSpec) -> None:
        """Have other numbers of executors and tasks from now on."""
        self.plan = plan
        self.dispatcher.resize(plan.slots)
        self.staff.scale(plan)
