"""Who is to blame when a process dies; pure functions."""

from __future__ import annotations

import random
from typing import Final

from rmqwork.outcome import Evidence, Failure, Outcome, Reason, TryAgain
from rmqwork.types import Delivery
from rmqwork.worker.executor import Death
from rmqwork.worker.held import Held, number_header

LEAST_ATTEMPTS: Final = 3
"""A crash may be the machine's fault (memory, a node that goes): no message is given up before."""
_WAIT_FIRST: Final = 1.0
_WAIT_MOST: Final = 60.0


_COUNTS_HAND_BACKS_UNTIL: Final = (4, 3)
_BLAMED_AT: Final = 2
_BLAMED_AT_WITH_HAND_BACKS: Final = 5
_REPUBLISHED_AT: Final = 3


def delivery_count(delivery: Delivery) -> int:
    """How often a delivery of this message has failed, as its quorum queue counts."""
    return number_header(delivery, "x-delivery-count", 0)


def is_suspect(count: int, server: tuple[int, ...]) -> bool:
    """Whether connections, workers or pods have died with a message too often to run it beside
    others. Once accuses nobody: a restart of the broker counts against all that was delivered.
    Before RabbitMQ 4.3 polite hand-backs count, too.

    Args:
        count: see `delivery_count`.
        server: the broker's version.
    """
    if server < _COUNTS_HAND_BACKS_UNTIL:
        return count >= _BLAMED_AT_WITH_HAND_BACKS
    return count >= _BLAMED_AT


def hand_back_counts(count: int, server: tuple[int, ...]) -> bool:
    """Whether a message should be published anew instead of handed back, so that hand-backs do not
    make a suspect of it (before RabbitMQ 4.3)."""
    return server < _COUNTS_HAND_BACKS_UNTIL and count >= _REPUBLISHED_AT


def died_alone(held: Held, max_attempts: int | None) -> Outcome | None:
    """What becomes of a message from a suspects queue: it was delivered alone, and whatever held
    it died; None = it runs (again), isolated."""
    count = delivery_count(held.delivery)
    if count < max(LEAST_ATTEMPTS, max_attempts or 0):
        return None
    evidence = Evidence(
        "WorkerCrashed",
        f"{count} times the worker or its connection ended while only this message ran; outages "
        "of the broker or the network count, too",
    )
    return Failure(0.0, Reason.WORKER_CRASHED, evidence)


def after_crash(attempt: int, max_attempts: int | None, evidence: Evidence) -> Outcome:
    """What becomes of the message whose task is to blame for its process's death.

    Args:
        attempt: which attempt it was, from 1.
        max_attempts: of the task; at least 3 are granted.
        evidence: how the process died.
    """
    if attempt >= max(LEAST_ATTEMPTS, max_attempts or 0):
        return Failure(0.0, Reason.WORKER_CRASHED, evidence)
    return TryAgain(0.0, _wait(attempt), True, evidence)


def after_time_limit(
    attempt: int, max_attempts: int | None, limit: float, evidence: Evidence
) -> Outcome:
    """What becomes of a message whose task was killed at its hard time limit.

    Args:
        attempt: which attempt it was, from 1.
        max_attempts: of the task.
        limit: seconds that it has run.
        evidence: what is kept with it.
    """
    if max_attempts is not None and attempt >= max_attempts:
        return Failure(limit, Reason.TIME_LIMIT, evidence)
    return TryAgain(limit, _wait(attempt), True, evidence)


def _wait(attempt: int) -> float:
    return min(_WAIT_MOST, _WAIT_FIRST * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def crash_evidence(death: Death) -> Evidence:
    """How a process died, for people."""
    memory = f" (peak memory {death.peak_memory / 1e6:.0f} MB)" if death.peak_memory else ""
    hint = "; SIGKILL may be the kernel's answer to too little memory" if death.signal == 9 else ""
    return Evidence("WorkerCrashed", f"the process that ran the task: {death.text}{memory}{hint}")
