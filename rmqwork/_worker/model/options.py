"""What a worker is started with."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from rmqwork.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of ``rmqwork worker``; None leaves a choice to the app's settings.

    Args:
        app: ``module:attribute``.
        queues: ``(name, weight)`` in order of service; weight None = strict priority. Empty: all.
        processes: executor processes.
        concurrency: tasks in threads at once in each of them.
        async_concurrency: tasks on the event loop at once in each of them.
        prefetch: unsettled deliveries a queue; None = follows what the executors can start.
        grace: seconds from SIGTERM until running tasks are handed back.
        broker: addresses, separated by commas; replaces the app's.
        broker_wait: seconds to wait for the broker at the start.
        declare: False: see that the topology is there, and make nothing.
        preload: import the app once and fork from it.
        health_port: port of ``/livez`` and ``/readyz``; None = none.
        max_tasks: tasks after which an executor is replaced.
        max_memory: bytes of memory above which an executor is replaced, between tasks.
        log_format: ``human``, ``json``, or None: human on a terminal, else JSON.
        log_level: of the `logging` module.
        name: this worker's, for people.
    """

    app: str
    queues: Sequence[tuple[str, int | None]] = ()
    processes: int | None = None
    concurrency: int | None = None
    async_concurrency: int | None = None
    prefetch: int | None = None
    grace: float | None = None
    broker: str | None = None
    broker_wait: float | None = None
    declare: bool | None = None
    preload: bool = True
    health_port: int | None = None
    max_tasks: int | None = None
    max_memory: int | None = None
    log_format: str | None = None
    log_level: str = "INFO"
    name: str = field(default_factory=socket.gethostname)


def parse_queues(text: str) -> list[tuple[str, int | None]]:
    """The queues of ``-Q``: ``a,b`` (strict priority) or ``a:3,b:1`` (weights).

    Raises:
        ConfigurationError: empty, a name twice, a weight that is no positive integer, or weights
            for some of the queues only.
    """
    queues: list[tuple[str, int | None]] = []
    for part in (part.strip() for part in text.split(",")):
        name, colon, weight = part.rpartition(":") if ":" in part else (part, "", "")
        if not name:
            raise ConfigurationError(
                f"-Q {text!r}: give names of queues, such as high_priority,low_priority"
            )
        if colon and not (weight.isdigit() and int(weight) > 0):
            raise ConfigurationError(f"-Q {text!r}: the weight {weight!r} is not a number above 0")
        if any(name == other for other, _ in queues):
            raise ConfigurationError(f"-Q {text!r}: queue {name!r} is named twice")
        queues.append((name, int(weight) if colon else None))
    if len({weight is None for _, weight in queues}) > 1:
        raise ConfigurationError(
            f"-Q {text!r}: give every queue a weight (a:3,b:1), or none of them (strict priority)"
        )
    return queues
