"""`Outcomes`: what becomes of a delivery that has run."""

from __future__ import annotations

from collections.abc import Callable

from rmqwork._worker.consume.kill_switches import KillSwitches
from rmqwork._worker.joins.joiner import Joiner
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.partitions import PartitionRunner
from rmqwork._worker.policy.decide import PublishThenAck, decide
from rmqwork._worker.policy.task_log import report
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.replies import FailureWriter
from rmqwork._worker.settle.settlement import Settlement
from rmqwork._worker.waiting import Waiting
from rmqwork.types import Failure, Outcome, RetryOutcome

Observer = Callable[[HeldDelivery, Outcome | None], None]
"""Is told of each outcome before it is settled; None: the task did not come to an end."""


class Outcomes:
    """Turns outcomes into decisions, and has these carried out.

    Args:
        plan: the queues of suspects, and the worker's name.
        memory: of runs whose channel was lost.
        partitions: have their attempts in place.
        switches: are told how tasks end.
        joins: are told what is published.
        settlement: carries decisions out.
        failures: carries those out that the store of results is to know.
        waiting: takes back what was not finished.
        observer: is told of each outcome; None: nobody is.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        memory: RedeliveryMemory,
        partitions: PartitionRunner,
        switches: KillSwitches,
        joins: Joiner,
        settlement: Settlement,
        failures: FailureWriter,
        waiting: Waiting,
        observer: Observer | None = None,
    ) -> None:
        self._name = plan.name
        self._suspects_queue = plan.suspects
        self._memory = memory
        self._partitions = partitions
        self._switches = switches
        self._joins = joins
        self._settlement = settlement
        self._failures = failures
        self._waiting = waiting
        self._observer = observer
        self.unfinished: list[HeldDelivery] = []
        """Tasks that were ended before their end, by a shutdown."""

    def finish(self, held: HeldDelivery, outcome: Outcome | None, crashed: bool = False) -> None:
        """Settle what has run.

        Args:
            held: the delivery.
            outcome: None = it did not come to an end, and is handed back.
            crashed: True if it killed its process; its next attempt is isolated, then.
        """
        if self._observer is not None:
            self._observer(held, outcome)
        self._memory.finished(held)
        report(held, outcome)
        if outcome is None:
            self.unfinished.append(held)
            self._waiting.hand_back(held)
            return
        if held.partition is not None and isinstance(outcome, RetryOutcome):
            self._partitions.retry(held, outcome, alone=crashed)
            return
        self._switches.ended(held, outcome)
        back_to = self._suspects_queue(held.queue) if crashed else None
        decision = decide(held, outcome, self._name, back_to)
        if isinstance(decision, PublishThenAck) and held.carried is not None:
            self._joins.saw(decision.publications)
        if type(outcome) is Failure or (isinstance(decision, PublishThenAck) and decision.never):
            self._failures.settle(held, decision)
        else:
            self._settlement.settle(held, decision)
