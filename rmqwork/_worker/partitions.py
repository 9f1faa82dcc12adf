"""The partitions that this worker has: one message of each at a time, and none overtakes.

The broker gives a partition to one worker, and one message of it at a time (single active consumer,
prefetch 1). So what is here of a partition is its first message: it runs, or waits for a process,
or for its next attempt, and keeps its delivery all the while.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final

from rmqwork._messages.history import HISTORY
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._results import record
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.dispatch.backlog import Backlog
from rmqwork._worker.model.held import HeldDelivery, Stage, attempt_of
from rmqwork._worker.model.lifecycle import Lifecycle
from rmqwork._worker.model.line import Line
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.policy.decide import HandBack, history, reply
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.types import Delivery, RetryOutcome

_log = logging.getLogger("rmqwork.worker.consuming")
TENURE: Final = (20.0, 40.0)
"""Seconds after which a partition is offered to the next worker: the broker would leave all of them
with the worker that came first. Costs `HAND_OVER_WAIT` seconds where there is no other.
"""
_ANSWER_TIMEOUT: Final = 5.0
_BEGUN: Final = frozenset({Stage.SENT, Stage.FINISHED})


class PartitionRunner:
    """All partitions of a worker.

    Args:
        plan: of the worker.
        consumption: consumes them.
        publisher: of the worker, for answers.
        settlement: settles.
        memory: of runs whose channel was lost.
        lifecycle: of the worker: at its end, nothing starts.
        backlog: where messages wait for an executor.
        numbers: of deliveries, each once in the life of the worker.
        consider: has a message run, unless something else is decided of it.
        admit: has a message run that was considered.
        clock: seconds that only grow.
        tenure: seconds after which a partition is offered, at least and at most.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        consumption: ConsumerConnection,
        publisher: Publisher,
        settlement: Settlement,
        memory: RedeliveryMemory,
        lifecycle: Lifecycle,
        backlog: Backlog,
        numbers: Iterator[int],
        consider: Callable[[HeldDelivery], None],
        admit: Callable[[HeldDelivery], None],
        *,
        clock: Callable[[], float] = monotonic,
        tenure: tuple[float, float] = TENURE,
    ) -> None:
        self._clock = clock
        self._tenure = tenure
        self._name = plan.name
        self._consumption = consumption
        self._publisher = publisher
        self._settlement = settlement
        self._memory = memory
        self._lifecycle = lifecycle
        self._backlog = backlog
        self._numbers = numbers
        self._consider = consider
        self._admit = admit
        self._loop = asyncio.get_running_loop()
        self._lines = {
            name: Line()
            for queue, _ in plan.queues
            if plan.is_partitioned(queue)
            for name in plan.sources(queue)
        }
        self._kept: set[HeldDelivery] = set()
        """Messages that came when nothing was to start, and are to be given back."""

    def partition_of(self, delivery: Delivery) -> str | None:
        """The partition of a delivery; None: its queue has none."""
        return delivery.queue if delivery.queue in self._lines else None

    def __contains__(self, name: object) -> bool:
        return name in self._lines

    def holds(self, partition: str) -> bool:
        """Whether a message of a partition runs, or has, and is not settled."""
        head = self._lines[partition].head
        return head is not None and head.stage in _BEGUN

    @property
    def waiting(self) -> int:
        """Messages that wait for their next attempt."""
        heads = (line.head for line in self._lines.values())
        return sum(1 for head in heads if head is not None and head.stage is Stage.WAITING)

    # ── to the executors ──────────────────────────────────────────────────────────────────────

    def admits(self, held: HeldDelivery) -> bool:
        """Whether a message may run now; it is kept here, if not."""
        line = self._line(held)
        head = line.head
        if head is not None and head is not held:
            if head.settleable or head.stage in _BEGUN:  # begun on a connection that is lost
                line.behind = held
                return False
            self._memory.finished(head)  # another worker had it, and is done with it
            line.forget()
        line.head = held
        if not self._halted(held):
            line.until = line.until or self._clock() + random.uniform(*self._tenure)
            return True
        self._keep(held)
        return False

    def retry(self, held: HeldDelivery, outcome: RetryOutcome, *, alone: bool = False) -> None:
        """Run a message again, in its place.

        Args:
            held: which.
            outcome: when, and whether the attempt counts.
            alone: whether it runs without others from now on: it has killed its process.
        """
        if alone:
            held.suspect()
        if held.delivery.reply_to:
            told = reply(held, record.retry(outcome.evidence))
            self._publisher.submit(Batch(told, _ANSWER_TIMEOUT, best_effort=True))
        if outcome.counts:
            said = history(held, outcome.evidence, self._name)
            held.begin_attempt({HISTORY: said})
        self.hold(held, outcome.delay)

    def hold(self, held: HeldDelivery, delay: float) -> None:
        """Look at a message again after ``delay`` seconds; its partition waits as long."""
        line = self._line(held)
        if line.head is not held:
            line.forget()
            line.head = held
        if self._halted(held):
            self._keep(held)
            return
        held.await_attempt()
        if not held.settleable:
            self._memory.runs_on(held)
        line.stop_timer()
        line.timer = self._loop.call_later(max(0.0, delay), self._due, line, held)

    def adopted(self, held: HeldDelivery) -> None:
        """A message that waits for its next attempt was delivered again."""
        line = self._line(held)
        if line.head is not held:
            line.forget()
            line.head = held
        if line.timer is None:
            self._due(line, held)

    def _due(self, line: Line, held: HeldDelivery) -> None:
        line.timer = None
        if line.head is held and held.settleable:  # else when it is delivered again, if to us
            held.await_executor()
            held.renumber(next(self._numbers))
            self._consider(held)

    # ── and away ──────────────────────────────────────────────────────────────────────────────

    def gone(self, held: HeldDelivery) -> None:
        """A message is out of this worker's hands: the one behind it is next."""
        line = self._line(held)
        self._kept.discard(held)
        if line.head is held:
            line.forget()
            behind, line.behind = line.behind, None
            if behind is not None and behind.settleable:
                self._admit(behind)
            elif line.until and self._clock() > line.until:
                line.until = 0.0
                self._consumption.offer(str(held.partition))
        self._consumption.look_again(str(held.partition))

    def hand_back(self, held: HeldDelivery) -> None:
        """Give a message back that is not to start here: when its consumer has ended, or it would
        come again at once."""
        line = self._line(held)
        held.await_executor()
        if line.head is None or line.head is held:
            line.stop_timer()
            line.head = held
        else:
            line.behind = held
        self._keep(held)
        if not (held.settleable and self._consumption.serves(str(held.partition))):
            self.release(str(held.partition))

    def release(self, partition: str) -> None:
        """A partition has no consumer here any more: what has not begun goes back to it."""
        line = self._lines[partition]
        helds = [held for held in (line.head, line.behind) if held is not None]
        for held in helds:
            if held.stage not in _BEGUN:
                self._backlog.remove(lambda one, held=held: one is held)  # type: ignore[misc]
                self._settlement.settle(held, HandBack())
                self._kept.discard(held)
                if line.head is held:
                    line.forget()
                else:
                    line.behind = None

    def channel_lost(self, channel: object) -> None:
        """A channel ended: what waits for its next attempt waits for its redelivery, too."""
        for line in self._lines.values():
            head, behind = line.head, line.behind
            if behind is not None and behind.delivery.channel is channel:
                line.behind = None
                self._kept.discard(behind)
            if head is None or head.delivery.channel is not channel or head.stage in _BEGUN:
                continue
            self._kept.discard(head)
            if head.stage is Stage.WAITING or head.attempt > attempt_of(head.delivery):
                head.await_attempt()
                self._memory.runs_on(head)
            else:
                line.forget()

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted of what waits for its next attempt."""
        taken: list[HeldDelivery] = []
        for line in self._lines.values():
            head = line.head
            if head is not None and head.stage is Stage.WAITING and unwanted(head):
                line.stop_timer()
                head.await_executor()
                taken.append(head)
        return taken

    def watch(self) -> None:
        """Start what was kept, once it may; called now and then."""
        for held in list(self._kept):
            if not self._halted(held):
                self._kept.discard(held)
                if self._line(held).head is held and held.settleable:
                    self._consider(held)

    def _halted(self, held: HeldDelivery) -> bool:
        return self._lifecycle.stopping or self._consumption.halts(str(held.partition))

    def _keep(self, held: HeldDelivery) -> None:
        held.await_executor()
        self._kept.add(held)
        self._consumption.look_again(str(held.partition))

    def _line(self, held: HeldDelivery) -> Line:
        return self._lines[str(held.partition)]
