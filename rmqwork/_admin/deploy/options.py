"""What an app's manifest cannot know: `DeployOptions`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeVar

from rmqwork.errors import ConfigurationError

T = TypeVar("T")
Scaler = Literal["keda", "hpa", "none"]
Topology = Literal["job", "operator", "workers"]
HEALTH_PORT: Final = 8080
URL_KEY: Final = "url"
"""The key of the Secret that holds the broker's address."""
OPERATOR_KEY: Final = "connection_string"
"""The same in the Secret of the default user that RabbitMQ's cluster operator makes."""


@dataclass(frozen=True, slots=True)
class PerQueue(Generic[T]):
    """A choice for all queues, and others for some of them."""

    default: T
    special: Mapping[str, T] = field(default_factory=dict)

    def of(self, queue: str) -> T:
        """What holds for a queue."""
        return self.special.get(queue, self.default)


def per_queue(
    texts: Iterable[str], default: T, read: Callable[[str], T], queues: Collection[str], option: str
) -> PerQueue[T]:
    """The choice that ``VALUE`` and ``QUEUE=VALUE`` come to.

    Args:
        texts: as they were given, in order.
        default: when nothing is said.
        read: from text to value; raises ValueError.
        queues: of the app.
        option: for error texts.

    Raises:
        ConfigurationError: a queue that the app does not have, or a value that is none.
    """
    special: dict[str, T] = {}
    for text in texts:
        queue, equals, value = text.rpartition("=")
        if equals and queue not in queues:
            known = ", ".join(sorted(queues)) or "none"
            raise ConfigurationError(
                f"{option} {text}: the app has no queue {queue!r}; its queues are: {known}"
            )
        try:
            chosen = read(value)
        except ValueError:
            raise ConfigurationError(f"{option} {text}: {value!r} is no suitable value") from None
        if equals:
            special[queue] = chosen
        else:
            default = chosen
    return PerQueue(default, special)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployOptions:
    """What a platform team decides about an app.

    Args:
        app: ``module:attribute``, as in the image.
        image: of the workers; also runs the topology's Job.
        name: prefix of all objects; None = the app's name.
        namespace: of all objects; None = that of whoever applies them.
        secret: the Secret with the broker's address under ``url``.
        cluster: the RabbitmqCluster that holds the broker; its default user's Secret is used.
        nodes: render that RabbitmqCluster, with so many nodes; 0 = it exists already.
        scaler: what chooses the number of pods.
        topology: who declares queues first: a Job, RabbitMQ's topology operator, or the workers.
        replicas: pods of a queue at least (with the scaler ``none``: exactly).
        most: pods of a queue at most.
        latency: seconds for which a message may wait, the target of the scaling.
        task_seconds: how long a task runs, on average.
        processes: executor processes of a pod; 0 = the app's setting.
        concurrency: tasks at once in the threads of each; 0 = the app's setting.
        grace: seconds that running tasks have after SIGTERM; 0 = as their limits need.
        cpu: millicores that a pod asks for; 0 = by its processes.
        memory: MiB that a pod asks for and may use; 0 = by its processes.
        monitoring: whether to render PodMonitor and PrometheusRule.
        web: whether tasks may reach addresses outside on ports 80 and 443.
        short_grace: whether a grace that cuts tasks off is accepted.
    """

    app: str
    image: str
    name: str | None = None
    namespace: str | None = None
    secret: str | None = None
    cluster: str | None = None
    nodes: int = 0
    scaler: Scaler = "keda"
    topology: Topology = "job"
    replicas: PerQueue[int] = field(default_factory=lambda: PerQueue(1))
    most: PerQueue[int] = field(default_factory=lambda: PerQueue(20))
    latency: PerQueue[float] = field(default_factory=lambda: PerQueue(10.0))
    task_seconds: PerQueue[float] = field(default_factory=lambda: PerQueue(1.0))
    processes: PerQueue[int] = field(default_factory=lambda: PerQueue(0))
    concurrency: PerQueue[int] = field(default_factory=lambda: PerQueue(0))
    grace: PerQueue[float] = field(default_factory=lambda: PerQueue(0.0))
    cpu: PerQueue[int] = field(default_factory=lambda: PerQueue(0))
    memory: PerQueue[int] = field(default_factory=lambda: PerQueue(0))
    monitoring: bool = True
    web: bool = True
    short_grace: bool = False
