"""What one worker is to do: its options over the app's settings, checked against the manifest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rmqwork._config.grace import check_termination, limit_of, shortage
from rmqwork._config.manifest import Manifest
from rmqwork._config.readers import broker_addresses
from rmqwork._config.settings import Settings
from rmqwork._topology.kill_switch import KillSwitch
from rmqwork._topology.topology import Declaration, suspects_queue
from rmqwork._worker.model.consumed import Consumed
from rmqwork._worker.model.flow import wanted_prefetch
from rmqwork._worker.model.options import WorkerOptions
from rmqwork.errors import ConfigurationError

CONSUMER_TIMEOUT: Final = 1800.0
"""Seconds after which RabbitMQ takes an unsettled delivery back, if nobody says otherwise
(RabbitMQ guide "Consumers", ``consumer_timeout``)."""
_MARGIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """All that the worker process needs to know.

    Args:
        manifest: what the app said of itself.
        name: this worker's.
        broker: addresses.
        queues: ``(name, weight)`` in order of service.
        slots: tasks at once in each executor, by lane; a lane that no task uses has none.
        processes: executors.
        prefetch: a fixed prefetch, or None.
        grace: seconds from SIGTERM until running tasks are handed back.
        broker_wait: seconds to wait for the broker at the start.
        health_port: or None.
        max_tasks: tasks after which an executor is replaced, or None.
        max_memory: bytes of memory above which it is, or None.
    """

    manifest: Manifest
    name: str
    broker: Sequence[str]
    queues: Sequence[tuple[str, int | None]]
    slots: Mapping[str, int]
    processes: int
    prefetch: int | None
    grace: float
    broker_wait: float
    health_port: int | None
    max_tasks: int | None = None
    max_memory: int | None = None

    @property
    def declarations(self) -> Sequence[Declaration]:
        """What the app's topology comes to."""
        return self.manifest.declarations

    @property
    def heartbeat(self) -> int | None:
        """Seconds, or None = what the broker says."""
        return self.manifest.settings.heartbeat

    @property
    def unknown_task_grace(self) -> float:
        """Seconds for which a task that nobody here knows waits for somebody who does."""
        return self.manifest.settings.unknown_task_grace

    @property
    def summary(self) -> str:
        """What this worker does, for people."""
        queues = ", ".join(queue for queue, _ in self.queues)
        lanes = [f"{_count(n, f'{lane} task')} in each" for lane, n in self.slots.items() if n]
        what = ", ".join(lanes) or f"app {self.manifest.app!r} has no tasks"
        return f"{self.name} works on {queues}: {_count(self.processes, 'process', 'es')}, {what}"

    def sources(self, queue: str) -> tuple[str, ...]:
        """The names of the broker's queues that one of the app's is read from."""
        return self.manifest.queues[queue].consumed

    def suspects(self, queue: str) -> str | None:
        """The queue beside it for messages that have killed their process; classic: none."""
        name = suspects_queue(queue)
        return name if name in self.manifest.queues[queue].consumed else None

    def is_partitioned(self, queue: str) -> bool:
        """Whether a queue consists of partitions."""
        return self.manifest.queues[queue].partitioned

    @property
    def kill_switches(self) -> Mapping[str, KillSwitch]:
        """The kill switch of each queue that has one."""
        found = {queue: self.manifest.queues[queue].kill_switch for queue, _ in self.queues}
        return {queue: policy for queue, policy in found.items() if policy is not None}

    def is_isolated(self, task: str | None) -> bool:
        """Whether a task wants a process of its own for each run."""
        entry = self.manifest.tasks.get(str(task))
        return entry is not None and entry.isolated

    def consumers(self) -> list[Consumed]:
        """Return what is consumed, each on a channel of its own."""
        found: list[Consumed] = []
        for queue, _ in self.queues:
            timeout = self.consumer_timeout(queue)
            if self.is_partitioned(queue):
                found += [
                    Consumed(queue, (name,), 1, timeout, partition=name)
                    for name in self.sources(queue)
                ]
            else:
                prefetch = self.first_prefetch(queue)
                found.append(Consumed(queue, self.sources(queue), prefetch, timeout))
        return found

    def consumer_timeout(self, queue: str) -> float | None:
        """Seconds in which a delivery of a queue must be settled, or the broker takes it back:
        twice the longest time limit of its tasks, and what a broker grants by default at least.
        None: the broker's default suffices, or a task has no limit, or the queue is classic.
        """
        limits = [limit_of(task) for task in self.manifest.tasks.values() if task.queue == queue]
        known = [limit for limit in limits if limit is not None]
        if self.manifest.queues[queue].type != "quorum" or not known or len(known) < len(limits):
            return None
        wanted = 2 * max(known) + _MARGIN
        return wanted if wanted > CONSUMER_TIMEOUT else None

    def grace_remarks(self) -> Sequence[str]:
        """What people should know of the time that a shutdown has; see `rmqwork._config.grace`.

        Raises:
            ConfigurationError: this process would be killed before its grace is over.
        """
        names = [queue for queue, _ in self.queues]
        found = (
            shortage(self.grace, self.manifest.tasks, names, "--grace"),
            check_termination(self.grace, self.manifest.settings.termination_grace),
        )
        return [remark for remark in found if remark is not None]

    @property
    def without_limit(self) -> Sequence[str]:
        """The names of the tasks that may run for ever."""
        return [task.name for task in self.manifest.tasks.values() if limit_of(task) is None]

    def capacity(self, queue: str, lanes: Collection[str] = ()) -> int:
        """How many tasks of a queue this worker can run at once.

        Args:
            queue: its name.
            lanes: where its messages have run so far; nothing has yet: the smallest that may be,
                so that no worker begins by holding what another could start.
        """
        if lanes:
            return self.processes * sum(self.slots[lane] for lane in lanes)
        possible = self._kinds(queue) or {lane for lane, slots in self.slots.items() if slots}
        return self.processes * min((self.slots[lane] for lane in possible), default=0)

    def first_prefetch(self, queue: str) -> int:
        """The prefetch before anything was measured."""
        return self.prefetch or wanted_prefetch(self.capacity(queue), 0.0, self.mixed(queue))

    def mixed(self, queue: str) -> bool:
        """Whether the deliveries of a queue compete with others, or run in more than one lane."""
        return len(self.queues) > 1 or len(self._kinds(queue)) > 1

    def _kinds(self, queue: str) -> set[str]:
        return {task.kind for task in self.manifest.tasks.values() if task.queue == queue}


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _broker(options: WorkerOptions, settings: Settings) -> tuple[str, ...]:
    if options.declare is not None:
        settings = replace(settings, declare=options.declare)
    if not options.broker:
        return settings.reached(settings.broker)
    try:
        return settings.reached(broker_addresses(options.broker))
    except ValueError as error:
        raise ConfigurationError(f"--broker: {error}") from None


def worker_spec(options: WorkerOptions, manifest: Manifest) -> WorkerSpec:
    """Check a worker's options against its app.

    Raises:
        ConfigurationError: a queue that the app does not have, a number out of its range.
    """
    settings = manifest.settings
    queues = list(options.queues) or [(name, None) for name in manifest.queues]
    for name, _ in queues:
        if name not in manifest.queues:
            known = ", ".join(sorted(manifest.queues)) or "none"
            raise ConfigurationError(
                f"app {manifest.app!r} has no queue {name!r}; its queues are: {known}"
            )
    if not queues:
        raise ConfigurationError(
            f"app {manifest.app!r} has no queues to work on; name some in App(queues=[...])"
        )
    kinds = {task.kind for task in manifest.tasks.values()}
    concurrency = options.concurrency or settings.concurrency
    async_concurrency = options.async_concurrency or settings.async_concurrency
    plan = WorkerSpec(
        manifest=manifest,
        name=options.name,
        broker=_broker(options, settings),
        queues=queues,
        slots={
            "thread": concurrency if "thread" in kinds else 0,
            "async": async_concurrency if "async" in kinds else 0,
        },
        processes=options.processes or settings.processes,
        prefetch=options.prefetch or settings.prefetch,
        grace=settings.grace if options.grace is None else options.grace,
        broker_wait=settings.broker_wait if options.broker_wait is None else options.broker_wait,
        health_port=options.health_port or settings.health_port,
        max_tasks=options.max_tasks or settings.max_tasks,
        max_memory=options.max_memory or settings.max_memory,
    )
    for name, value in (("processes", plan.processes), ("concurrency", concurrency)):
        if value < 1:
            raise ConfigurationError(f"{name} must be at least 1, not {value}")
    if plan.grace < 0:
        raise ConfigurationError(f"grace must be 0 or more seconds, not {plan.grace:g}")
    return plan
