"""Who is to blame when a process dies; pure functions."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from rmqwork._config.sizes import show_size
from rmqwork._messages import headers as names
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.model.held import HeldDelivery, number_header
from rmqwork.types import Delivery, Evidence, Failure, Outcome, Reason, RetryOutcome

LEAST_ATTEMPTS: Final = 3
"""A crash may be the machine's fault (memory, a node that goes): no message is given up before."""
_WAIT_FIRST: Final = 1.0
_WAIT_MOST: Final = 60.0


_COUNTS_HAND_BACKS_UNTIL: Final = (4, 3)
_BLAMED_AT: Final = 2
_BLAMED_AT_WITH_HAND_BACKS: Final = 5
_REPUBLISHED_AT: Final = 3
_ALONE_AT_WITH_HAND_BACKS: Final = 10
_GIVEN_UP_AT: Final = 10
_GIVEN_UP_AT_WITH_HAND_BACKS: Final = 20


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


def held_together(server: tuple[int, ...]) -> bool:
    """Whether a worker holds many messages of a suspects queue that nothing has died with there:
    where it can hand them back without a count (RabbitMQ 4.3).
    """
    return server >= _COUNTS_HAND_BACKS_UNTIL


def died_alone(
    held: HeldDelivery, max_attempts: int | None, server: tuple[int, ...]
) -> Outcome | None:
    """What becomes of a message from a suspects queue, after whatever held it died; None = it
    runs (again), isolated.

    It was held alone each time, but for the first where they are held together: that count may be
    another's fault, and is free.
    """
    count = delivery_count(held.delivery) - held_together(server)
    if count < max(LEAST_ATTEMPTS, max_attempts or 0):
        return None
    evidence = Evidence(
        "WorkerCrashed",
        f"{count} times the worker or its connection ended while only this message ran; outages "
        "of the broker or the network count, too",
    )
    return Failure(0.0, Reason.WORKER_CRASHED, evidence)


def is_suspect_in_place(count: int, server: tuple[int, ...]) -> bool:
    """Whether a partition's message is to run alone: before RabbitMQ 4.3 each hand-over of its
    partition counts, too.
    """
    return count >= (_ALONE_AT_WITH_HAND_BACKS if server < _COUNTS_HAND_BACKS_UNTIL else _BLAMED_AT)


def died_in_place(count: int, max_attempts: int | None, server: tuple[int, ...]) -> Outcome | None:
    """What becomes of a partition's message whose workers keep dying; None = it runs (again).

    It may have been held, and not started, when some of them died; so many are granted.
    """
    most = _GIVEN_UP_AT_WITH_HAND_BACKS if server < _COUNTS_HAND_BACKS_UNTIL else _GIVEN_UP_AT
    if count < max(most, max_attempts or 0):
        return None
    evidence = Evidence(
        "WorkerCrashed",
        f"{count} times the worker or its connection ended while this message was the first of "
        "its partition; outages of the broker or the network count, too",
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
    return RetryOutcome(0.0, _wait(attempt), True, evidence)


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
    return RetryOutcome(limit, _wait(attempt), True, evidence)


def _wait(attempt: int) -> float:
    return min(_WAIT_MOST, _WAIT_FIRST * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def crash_evidence(death: Death, since: float = 0.0) -> Evidence:
    """How a process died: in words, as headers, and with what it has left.

    Args:
        death: of the process.
        since: when the run that is to blame began, as ``time.monotonic()``.
    """
    memory = f" (peak memory {show_size(death.peak_memory)})" if death.peak_memory else ""
    hint = "; SIGKILL may be the kernel's answer to too little memory" if death.signal == 9 else ""
    text = f"the process that ran the task: {death.text}{memory}{hint}"
    facts: list[tuple[str, str | int]] = []
    if death.signal is not None:
        facts.append((names.ERROR_SIGNAL, death.signal_name))
    elif death.exit_code is not None:
        facts.append((names.ERROR_EXIT_CODE, death.exit_code))
    if death.peak_memory:
        facts.append((names.ERROR_PEAK_MEMORY, death.peak_memory))
    return Evidence("WorkerCrashed", text, death.words.since(since), facts=tuple(facts))


def with_words(outcome: Outcome, words: str) -> Outcome:
    """An outcome whose evidence has the last words of the process in place of a traceback."""
    if not words or not isinstance(outcome, (RetryOutcome, Failure)):
        return outcome
    return replace(outcome, evidence=replace(outcome.evidence, traceback=words))
