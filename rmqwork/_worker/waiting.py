"""`Waiting`: the deliveries that no executor has started, and their ways out without a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rmqwork._transport.port import ConsumeChannel
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.dispatch.backlog import Backlog
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.lifecycle import Lifecycle
from rmqwork._worker.partitions import PartitionRunner
from rmqwork._worker.policy.copies import again
from rmqwork._worker.policy.crash_policy import delivery_count, hand_back_counts
from rmqwork._worker.policy.decide import HandBack, PublishThenAck
from rmqwork._worker.policy.revocations import Revocations
from rmqwork._worker.policy.triage import Triage
from rmqwork._worker.processes.executor import Executor
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.replies import FailureWriter
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.types import Evidence, Reason


class Waiting:
    """Gives deliveries that have not run to another executor, back to their queue, or up.

    Args:
        lifecycle: of the worker: at its end, what has not run goes back.
        dispatcher: has deliveries run.
        backlog: where deliveries wait, but for those of partitions.
        partitions: where those of partitions wait.
        consumption: knows which queues are paused, and the broker.
        settlement: settles what goes back.
        failures: settles what is given up.
        memory: of runs whose channel was lost.
        triage: decides about what must not run.
        revocations: say what must not run any more.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        dispatcher: Dispatcher[Executor],
        backlog: Backlog,
        partitions: PartitionRunner,
        consumption: ConsumerConnection,
        settlement: Settlement,
        failures: FailureWriter,
        memory: RedeliveryMemory,
        triage: Triage,
        revocations: Revocations,
    ) -> None:
        self._lifecycle = lifecycle
        self._dispatcher = dispatcher
        self._places = Backlog(backlog, partitions)
        self._partitions = partitions
        self._consumption = consumption
        self._settlement = settlement
        self._failures = failures
        self._memory = memory
        self._triage = triage
        self._revocations = revocations
        self._held_back: list[HeldDelivery] | None = None
        """While consumers are being cancelled: what goes back after that."""

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted of the deliveries that no executor has."""
        return self._places.remove(unwanted)

    def refuse(self, held: HeldDelivery, reason: Reason, evidence: Evidence) -> None:
        """Dead-letter a delivery that has not run, and must not any more."""
        self._failures.settle(held, self._triage.refused(held, reason, evidence))

    def hand_back(self, held: HeldDelivery) -> None:
        """Give a delivery back to its queue; not before the consumers are cancelled."""
        if held.partition is not None:
            self._partitions.hand_back(held)
        elif self._held_back is not None:
            self._held_back.append(held)
        elif hand_back_counts(delivery_count(held.delivery), self._consumption.server):
            self._settlement.settle(held, PublishThenAck(again(held, 0.0, {})))
        else:
            self._settlement.settle(held, HandBack())

    # ── executors that have not started them ──────────────────────────────────────────────────

    def not_started(self, helds: Sequence[HeldDelivery]) -> None:
        """Have deliveries that an executor had and did not start run elsewhere, or go back."""
        for held in helds:
            self._memory.finished(held)
        if self._lifecycle.stopping:
            for held in helds:
                self.hand_back(held)
        else:
            self._dispatcher.put_back([held for held in helds if self._is_to_run(held)])

    def _is_to_run(self, held: HeldDelivery) -> bool:
        """Return whether a delivery that has come back is to run; settles it, if not."""
        if not held.settleable:
            return False
        evidence = self._revocations.evidence(held)
        if evidence is not None:
            self.refuse(held, Reason.REVOKED, evidence)
        elif self._consumption.reasons(held.queue):
            self.hand_back(held)
        else:
            return True
        return False

    def suspected(self, helds: Sequence[HeldDelivery]) -> None:
        """Have deliveries that ran in a process that died run again, isolated. Those whose channel
        is gone will come again, and there is no run left for them to adopt.
        """
        for held in helds:
            self._memory.finished(held)
        self._dispatcher.suspect([held for held in helds if held.settleable])

    # ── the shutdown ──────────────────────────────────────────────────────────────────────────

    def hold_back(self) -> None:
        """Keep what goes back, until `return_all`: consumers that live would be given it again."""
        self._held_back = []

    def return_all(self) -> None:
        """Give back, in the order of their delivery, what was held back and all that waits."""
        held_back, self._held_back = self._held_back or [], None
        everything = [*held_back, *self.remove(lambda _: True)]
        for held in sorted(everything, key=lambda held: held.number):
            self.hand_back(held)

    def forget(self, channel: ConsumeChannel) -> None:
        """Forget what has not started of a channel that has ended."""
        self._dispatcher.forget(channel)
        if self._held_back:
            self._held_back = [held for held in self._held_back if held.settleable]
