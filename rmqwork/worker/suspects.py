"""Who is to blame when a process dies; pure functions."""

from __future__ import annotations

import random
from typing import Final

from rmqwork.outcome import Evidence, Failure, Outcome, Reason, TryAgain
from rmqwork.worker.executor import Death

LEAST_ATTEMPTS: Final = 3
"""A crash may be the machine's fault (memory, a node that goes): no message is given up before."""
_WAIT_FIRST: Final = 1.0
_WAIT_MOST: Final = 60.0


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
