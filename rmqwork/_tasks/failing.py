"""What a run of a task that has raised comes to."""

from __future__ import annotations

from rmqwork._tasks.evidence import evidence_of, text_of
from rmqwork._tasks.leaves import steering
from rmqwork._tasks.replacing import replacement_of
from rmqwork._tasks.retry import DEFAULT, LONGEST, decide, next_delay, wait_after
from rmqwork._tasks.run_plan import Prepared
from rmqwork.errors import ConfigurationError, RmqworkError, TimeLimitExceeded
from rmqwork.types import (
    Evidence,
    Failure,
    Outcome,
    Reason,
    Reject,
    Replace,
    Replaced,
    RetryLater,
    RetryOutcome,
)


def outcome_of_error(prepared: Prepared, error: BaseException, duration: float) -> Outcome:
    """The outcome of a run that has raised.

    Args:
        prepared: what was run.
        error: what it raised.
        duration: seconds that it took.
    """
    plan = prepared.plan
    raised, error = error, steering(error)
    if isinstance(error, Replace):
        try:
            return Replaced(duration, replacement_of(prepared, error))
        except RmqworkError as refused:
            error = refused
    if isinstance(error, Reject):
        reason = error.reason or "the task rejected its message"
        evidence = Evidence("rmqwork.Reject", text_of(Exception(reason)))
        return Failure(duration, Reason.REJECTED, evidence)
    timed_out = isinstance(error, TimeLimitExceeded)
    reason_of_end = Reason.TIME_LIMIT if timed_out else Reason.FAILED
    counts = True
    try:
        if isinstance(error, RetryLater):
            counts = error.count
            delay = _later(prepared, error)
            # A group tells more than the leaf: what else went wrong.
            because = error.__cause__ or error.__context__ or error
            error = raised if isinstance(raised, BaseExceptionGroup) else because
        elif plan.policy is None:
            delay = None
        else:
            delay = decide(plan.policy, prepared.attempt, error, prepared.elapsed)
    except ConfigurationError as broken:
        found = evidence_of(error)
        text = f"{found.message} (and there is no retry: {broken})"
        return Failure(duration, reason_of_end, Evidence(found.type, text, found.traceback))
    if delay is None:
        return Failure(duration, reason_of_end, evidence_of(error))
    return RetryOutcome(duration, delay, counts, evidence_of(error))


def _later(prepared: Prepared, error: RetryLater) -> float | None:
    """The delay that a `RetryLater` asks for; None = it was the last attempt.

    Raises:
        ConfigurationError: it, or the policy, says nothing usable.
    """
    policy = prepared.plan.policy or DEFAULT
    seconds, attempt = error.seconds, prepared.attempt
    if seconds is not None and not _is_delay(seconds):
        raise ConfigurationError(f"RetryLater({seconds!r}): a number of seconds, 0 or more")
    if not error.count:
        delay = wait_after(policy, attempt, error, prepared.elapsed) if seconds is None else seconds
        return min(delay, LONGEST)
    allowed = next_delay(policy, attempt, error, prepared.elapsed)
    if allowed is None:
        return None
    return min(allowed if seconds is None else seconds, LONGEST)


def _is_delay(value: object) -> bool:
    return isinstance(value, (int, float)) and value >= 0
