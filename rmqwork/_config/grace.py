"""How long a worker that stops must be given, so that nothing is cut off; pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from rmqwork.errors import ConfigurationError

SOFT: Final = 0.8
"""The part of the grace after which tasks are told that the end is near."""
MARGIN: Final = 15.0
"""Seconds that a worker may take beyond its grace: executors killed, what they had handed back,
confirms and acks seen to arrive, connections closed (the timeouts of
`rmqwork._worker.shutdown`)."""


class Limited(Protocol):
    """A task, as far as its limits are concerned."""

    @property
    def name(self) -> str:
        """By which messages name it."""
        ...

    @property
    def queue(self) -> str | None:
        """Where its messages go."""

    @property
    def time_limit(self) -> float | None:
        """Seconds after which a run is stopped."""

    @property
    def hard_time_limit(self) -> float | None:
        """Seconds after which the process that runs it is killed."""


def limit_of(task: Limited) -> float | None:
    """Seconds after which a run of a task surely ends; None = never, maybe."""
    return task.hard_time_limit or task.time_limit


def needed(limit: float) -> float:
    """The grace, in whole seconds, in which a task with this limit comes to its own end: before it
    is told to stop, at four fifths of the grace."""
    return float(math.ceil(round(limit / SOFT, 6)))


def longest(tasks: Iterable[Limited], queues: Iterable[str]) -> tuple[str, float] | None:
    """The task of these queues with the longest limit, and its limit; None = none has one."""
    wanted = set(queues)
    limits = [
        (limit, task.name)
        for task in tasks
        if task.queue in wanted and (limit := limit_of(task)) is not None
    ]
    if not limits:
        return None
    limit, name = max(limits)
    return name, limit


def without_limit(tasks: Iterable[Limited], queues: Iterable[str]) -> Sequence[str]:
    """The names of the tasks of these queues that may run for ever."""
    wanted = set(queues)
    return [task.name for task in tasks if task.queue in wanted and limit_of(task) is None]


def shortage(
    grace: float, tasks: Mapping[str, Limited], queues: Sequence[str], source: str
) -> str | None:
    """What is said of a grace that is too short for the longest task; None = it suffices.

    Args:
        grace: seconds from SIGTERM until running tasks are handed back.
        tasks: of the app, by name.
        queues: that the worker consumes.
        source: where the grace can be changed, for people (``--grace``).
    """
    found = longest(tasks.values(), queues)
    if found is None or grace >= needed(found[1]):
        return None
    name, limit = found
    return (
        f"{name} may run {limit:g} s, and a worker for {', '.join(queues)} that stops has "
        f"{grace:g} s: its run is cut off and repeated elsewhere; {source} {needed(limit):g} "
        "would suffice"
    )


def check_termination(grace: float, termination: float | None) -> str | None:
    """Compare a worker's grace with the time after which its process is killed.

    Args:
        grace: seconds from SIGTERM until running tasks are handed back.
        termination: seconds from SIGTERM until SIGKILL (Kubernetes: the pod's
            ``terminationGracePeriodSeconds``; Docker: ``stop -t``); None = not known.

    Returns:
        a warning, or None.

    Raises:
        ConfigurationError: the process is killed before it has handed anything back, and each
            message that it holds counts as a failed delivery.
    """
    if termination is None or termination >= grace + MARGIN:
        return None
    advice = f"set terminationGracePeriodSeconds to {grace + MARGIN:g} or more, or lower --grace"
    if termination <= grace:
        raise ConfigurationError(
            f"this worker is killed {termination:g} s after SIGTERM "
            f"(RMQWORK_TERMINATION_GRACE), before its grace of {grace:g} s is over; {advice}"
        )
    return (
        f"this worker is killed {termination:g} s after SIGTERM (RMQWORK_TERMINATION_GRACE), and "
        f"needs up to {MARGIN:g} s beyond its grace of {grace:g} s to hand back; {advice}"
    )
