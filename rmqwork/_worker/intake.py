"""`Intake`: what becomes of a delivery from its arrival until an executor may have it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from rmqwork._messages.ids import uuid7
from rmqwork._transport.port import ConsumeChannel
from rmqwork._worker.consume.flow_control import FlowControl
from rmqwork._worker.consume.kill_switches import KillSwitches
from rmqwork._worker.consume.suspect_prefetch import SuspectPrefetch, is_first
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.model.held import HeldDelivery, Stage, attempt_of
from rmqwork._worker.model.lifecycle import Lifecycle
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.partitions import PartitionRunner
from rmqwork._worker.policy.decide import Hold
from rmqwork._worker.policy.triage import Triage
from rmqwork._worker.processes.executor import Executor
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.replies import FailureWriter
from rmqwork._worker.settle.settlement import Settlement
from rmqwork._worker.waiting import Waiting
from rmqwork.types import Delivery

_log = logging.getLogger("rmqwork.worker")


class Intake:
    """Takes deliveries from the consumers; see `rmqwork._worker.consume.ports.WorkerHandler`.

    Args:
        plan: says which tasks are isolated.
        lifecycle: of the worker: at its end, what comes goes back.
        numbers: of deliveries, each once in the life of the worker.
        memory: of runs whose channel was lost.
        triage: decides what is not to run.
        suspects: says whether a suspect may be held beside others.
        switches: say whether a delivery's queue lets it run.
        partitions: say whether a delivery's partition lets it run.
        flow: is told where a queue's tasks run.
        dispatcher: has deliveries run.
        settlement: settles what a redelivery has the outcome of.
        failures: settles what must not run.
        waiting: the ways back to a queue.
        scale_isolated: starts executors for suspects.
        release: gives a paused queue's deliveries back.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        lifecycle: Lifecycle,
        numbers: Iterator[int],
        memory: RedeliveryMemory,
        triage: Triage,
        suspects: SuspectPrefetch,
        switches: KillSwitches,
        partitions: PartitionRunner,
        flow: FlowControl,
        dispatcher: Dispatcher[Executor],
        settlement: Settlement,
        failures: FailureWriter,
        waiting: Waiting,
        scale_isolated: Callable[[], None],
        release: Callable[[str], None],
    ) -> None:
        self._is_isolated = plan.is_isolated
        self._lifecycle = lifecycle
        self._numbers = numbers
        self._memory = memory
        self._triage = triage
        self._suspects = suspects
        self._switches = switches
        self._partitions = partitions
        self._flow = flow
        self._dispatcher = dispatcher
        self._settlement = settlement
        self._failures = failures
        self._waiting = waiting
        self._scale_isolated = scale_isolated
        self._release = release

    # ── a delivery comes ──────────────────────────────────────────────────────────────────────

    def delivered(self, queue: str, delivery: Delivery) -> None:
        """Take a delivery of one of the app's queues."""
        task_id = delivery.message_id or uuid7()
        held = HeldDelivery(
            next(self._numbers),
            delivery,
            queue,
            task_id,
            attempt_of(delivery),
            partition=self._partitions.partition_of(delivery),
        )
        if held.came_before and self._recalled(held):
            return
        if self._lifecycle.stopping:
            self._waiting.hand_back(held)
        else:
            self.consider(held)

    def consider(self, held: HeldDelivery) -> None:
        """Have a delivery run, unless something else is decided of it."""
        if held.from_suspects and not self._suspects.came(held):
            self._dispatcher.suspects.keep(held)
            return
        decision = self._triage.decide(held)
        if isinstance(decision, Hold):
            held.note(decision.headers)
            self._partitions.hold(held, decision.delay)
            return
        if decision is not None:
            self._failures.settle(held, decision)
            return
        self._flow.runs(held)
        self.admit(held)

    def admit(self, held: HeldDelivery) -> None:
        """Have a delivery run as soon as there is room for it, and its queue's switch lets it."""
        if not self._switches.admits(held) or (
            held.partition and not self._partitions.admits(held)
        ):
            return
        isolated = self._is_isolated(held.delivery.type)
        if not (isolated or held.from_suspects or held.suspected):
            self._dispatcher.put(held)
            return
        if is_first(held) and not isolated:
            self._dispatcher.suspect_first(held)
        else:
            self._dispatcher.suspect([held])
        self._scale_isolated()

    def _recalled(self, held: HeldDelivery) -> bool:
        """Return whether a redelivery is something that this worker has done, or is doing."""
        known = self._memory.recall(held)
        if isinstance(known, HeldDelivery):
            _log.info("%s was delivered again while it runs; its run goes on", held.task_id)
            known.adopt(held.delivery)
            self._suspects.came(known)
            if known.stage is Stage.WAITING:
                self._partitions.adopted(known)
        elif known is not None:
            _log.info("%s was delivered again after it was done; it is settled", held.task_id)
            self._settlement.settle_recalled(held, known)
        return known is not None

    # ── consumers and channels end ────────────────────────────────────────────────────────────

    def channel_lost(self, channel: ConsumeChannel) -> None:
        """Forget what waits of a channel that ended; what runs waits for its redelivery."""
        self._settlement.channel_lost(channel)
        self._waiting.forget(channel)
        for held in self._dispatcher.running:
            if held.delivery.channel is channel:
                self._memory.runs_on(held)
        self._partitions.channel_lost(channel)

    def paused(self, queue: str) -> None:
        """Give back what waits of a queue, or a partition, that has no consumer any more."""
        if queue in self._partitions:
            self._partitions.release(queue)
        else:
            self._release(queue)

    def holds(self, partition: str) -> bool:
        """Return True while a task of a partition runs."""
        return self._partitions.holds(partition)

    def suspects_stopped(self, queue: str) -> None:
        """Give back what was kept of a suspects queue that has no consumer now."""
        for held in self._dispatcher.suspects.take_kept(queue):
            self._waiting.hand_back(held)
        self._suspects.ended(queue)
