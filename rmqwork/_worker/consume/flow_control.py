"""`FlowControl`: how much is taken from each queue, by what was settled of it lately."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rmqwork._worker.consume.kill_switches import KillSwitches
from rmqwork._worker.consume.suspect_prefetch import SuspectPrefetch
from rmqwork._worker.model.flow import (
    MAX_PREFETCH,
    Throughput,
    changed_prefetch,
    wanted_prefetch,
)
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.plan import WorkerSpec


class Consumers(Protocol):
    """The consumers of a worker's queues, as far as their prefetch goes."""

    def prefetch(self, queue: str) -> int:
        """Return the prefetch that a queue's consumers have, or are about to have."""
        ...

    def set_prefetch(self, queue: str, prefetch: int) -> None:
        """Change a queue's prefetch."""


class FlowControl:
    """Follows what is settled, and adapts what is taken.

    Args:
        plan: returns the worker's numbers as they are now.
        consumers: whose prefetch is changed.
        switches: a queue that its kill switch restricts keeps its prefetch.
        suspects: are told of each delivery of a suspects queue that is settled.
        partition_settled: is told of each delivery of a partition that is settled.
        apart: returns the number of deliveries that run isolated, or wait for it.
        overdue: returns the number of a queue's deliveries that have run and wait for confirms.
    """

    def __init__(
        self,
        plan: Callable[[], WorkerSpec],
        consumers: Consumers,
        switches: KillSwitches,
        suspects: SuspectPrefetch,
        partition_settled: Callable[[HeldDelivery], None],
        apart: Callable[[], int],
        overdue: Callable[[str], int],
    ) -> None:
        self._plan = plan
        self._consumers = consumers
        self._switches = switches
        self._suspects = suspects
        self._partition_settled = partition_settled
        self._apart = apart
        self._overdue = overdue
        queues = [queue for queue, _ in plan().queues]
        self._throughput = {queue: Throughput() for queue in queues}
        self._runtimes: dict[str, set[str]] = {queue: set() for queue in queues}

    def runs(self, held: HeldDelivery) -> None:
        """Take note of where a queue's tasks run: in threads, or on the event loop."""
        self._runtimes[held.queue].add(held.lane)

    def settled(self, held: HeldDelivery) -> None:
        """Take note that a delivery is out of this worker's hands."""
        self._throughput[held.queue].add()
        self._switches.gone(held)
        if held.from_suspects:
            self._suspects.gone(held)
        if held.partition is not None:
            self._partition_settled(held)

    def follow(self, interval: float) -> None:
        """Have the prefetch that the last ``interval`` seconds call for."""
        plan = self._plan()
        for queue, throughput in self._throughput.items():
            rate = throughput.rate(interval)
            if self._switches.restricts(queue) or plan.is_partitioned(queue):
                continue
            slots = plan.capacity(queue, self._runtimes[queue]) + self._apart()
            wanted = wanted_prefetch(slots, rate, plan.mixed(queue))
            current, overdue = self._consumers.prefetch(queue), self._overdue(queue)
            if overdue:
                # They have run, but count against the prefetch; twice as many may come of them.
                short = current - overdue < wanted
                changed = min(MAX_PREFETCH, wanted + 2 * overdue) if short else None
            else:
                changed = changed_prefetch(current, wanted)
            if changed is not None and changed != current:
                self._consumers.set_prefetch(queue, changed)
