"""`Workload`: the workers of one queue, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rmqwork._admin.deploy.names import kubernetes_name, unique_names
from rmqwork._admin.deploy.options import OPERATOR_KEY, URL_KEY, DeployOptions
from rmqwork._config.grace import MARGIN, longest, needed, shortage, without_limit
from rmqwork._config.manifest import Manifest
from rmqwork.errors import ConfigurationError

_CPU: Final = 500
"""Millicores that a pod asks for, for each executor process."""
_MEMORY: Final = (128, 192)
"""MiB of a pod: the worker process and its template, and each executor process. Measured: 45 and
60 MB for the thumbnails example; the rest is the tasks' own."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The workers of one queue.

    Args:
        queue: its name.
        sources: the names of the queues on the broker that its workers read.
        partitioned: whether these are its partitions.
        name: of its Deployment and of all that goes with it.
        processes: executor processes of a pod.
        concurrency: tasks at once in the threads of each.
        slots: tasks at once in a pod.
        grace: seconds that running tasks have after SIGTERM.
        replicas: pods at least.
        most: pods at most.
        latency: seconds for which a message may wait.
        threshold: messages waiting for each pod, beyond which there should be another one.
        cpu: millicores.
        memory: MiB.
    """

    queue: str
    sources: tuple[str, ...]
    partitioned: bool
    name: str
    processes: int
    concurrency: int
    slots: int
    grace: float
    replicas: int
    most: int
    latency: float
    threshold: int
    cpu: int
    memory: int

    @property
    def termination(self) -> int:
        """Seconds from SIGTERM to SIGKILL."""
        return math.ceil(self.grace + MARGIN)


@dataclass(frozen=True, slots=True)
class Deployment:
    """All that is deployed of one app.

    Args:
        manifest: what the app says of itself.
        options: what the platform team says.
        workloads: one a queue.
        remarks: what people should know, one line each.
    """

    manifest: Manifest
    options: DeployOptions
    workloads: tuple[Workload, ...]
    remarks: tuple[str, ...]

    @property
    def name(self) -> str:
        """The prefix of all names."""
        return kubernetes_name(self.options.name or self.manifest.app)

    @property
    def cluster(self) -> str | None:
        """The RabbitmqCluster, if there is one."""
        return self.options.cluster or (f"{self.name}-rabbitmq" if self.options.nodes else None)

    @property
    def secret(self) -> Mapping[str, str]:
        """Where the broker's address is: name and key of a Secret."""
        if self.options.secret is None and self.cluster is not None:
            return {"name": f"{self.cluster}-default-user", "key": OPERATOR_KEY}
        return {"name": self.options.secret or f"{self.name}-broker", "key": URL_KEY}

    @property
    def labels(self) -> Mapping[str, str]:
        """What all objects of the app have in common."""
        return {
            "app.kubernetes.io/name": self.name,
            "app.kubernetes.io/part-of": self.name,
            "app.kubernetes.io/managed-by": "rmqwork",
        }


def make_deployment(manifest: Manifest, options: DeployOptions) -> Deployment:
    """Plan the workers of each queue.

    Raises:
        ConfigurationError: no queues, a grace that cuts tasks off, or numbers that contradict
            each other.
    """
    if not manifest.queues:
        raise ConfigurationError(
            f"app {manifest.app!r} has no queues to deploy workers for; name some in "
            "App(queues=[...])"
        )
    prefix = options.name or manifest.app
    names = unique_names(manifest.queues, prefix)
    remarks: list[str] = []
    workloads = tuple(
        _workload(manifest, options, queue, names[queue], remarks) for queue in manifest.queues
    )
    return Deployment(manifest, options, workloads, tuple(remarks))


def _workload(
    manifest: Manifest, options: DeployOptions, queue: str, name: str, remarks: list[str]
) -> Workload:
    settings = manifest.settings
    processes = options.processes.of(queue) or settings.processes
    concurrency = options.concurrency.of(queue) or settings.concurrency
    slots = processes * _room(manifest, queue, concurrency)
    replicas, most = options.replicas.of(queue), options.most.of(queue)
    if options.scaler == "hpa" and replicas < 1:
        raise ConfigurationError(f"queue {queue!r}: an HPA does not scale to 0 pods; KEDA does")
    if most < max(1, replicas):
        raise ConfigurationError(f"queue {queue!r}: {most} pods at most, and {replicas} at least")
    threshold = slots * options.latency.of(queue) / options.task_seconds.of(queue)
    return Workload(
        queue=queue,
        sources=manifest.queues[queue].consumed,
        partitioned=manifest.queues[queue].partitioned,
        name=name,
        processes=processes,
        concurrency=concurrency,
        slots=slots,
        grace=_grace(manifest, options, queue, remarks),
        replicas=replicas,
        most=most,
        latency=options.latency.of(queue),
        threshold=max(1, round(threshold)),
        cpu=options.cpu.of(queue) or processes * _CPU,
        memory=options.memory.of(queue) or _MEMORY[0] + processes * _MEMORY[1],
    )


def _room(manifest: Manifest, queue: str, concurrency: int) -> int:
    """Tasks of a queue at once in one executor: by the smaller lane, if there are both kinds."""
    kinds = {task.kind for task in manifest.tasks.values() if task.queue == queue} or {"thread"}
    lanes = {"thread": concurrency, "async": manifest.settings.async_concurrency}
    return min(lanes[kind] for kind in kinds)


def _grace(manifest: Manifest, options: DeployOptions, queue: str, remarks: list[str]) -> float:
    tasks = manifest.tasks
    endless = without_limit(tasks.values(), [queue])
    if endless:
        remarks.append(
            f"queue {queue!r}: no time limit: {', '.join(endless[:5])}; a run that is longer than "
            "the grace is cut off by a shutdown and repeated; give time_limit="
        )
    given = options.grace.of(queue)
    if not given:
        found = longest(tasks.values(), [queue])
        return max(manifest.settings.grace, needed(found[1]) if found else 0.0)
    short = shortage(given, tasks, [queue], "--grace")
    if short is not None and not options.short_grace:
        raise ConfigurationError(f"{short}; --short-grace accepts it")
    if short is not None:
        remarks.append(short)
    return given
