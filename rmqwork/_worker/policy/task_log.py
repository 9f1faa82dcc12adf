"""One log line for each outcome."""

from __future__ import annotations

import logging

from rmqwork._config.logging import FIELDS
from rmqwork._worker.model.held import HeldDelivery
from rmqwork.types import Failure, Outcome, Replaced, RetryOutcome, Success

_log = logging.getLogger("rmqwork.tasks")


def report(held: HeldDelivery, outcome: Outcome | None) -> None:
    """Log what became of a task: ids, task, queue, attempt, duration, and the error if any."""
    level = logging.WARNING if isinstance(outcome, (RetryOutcome, Failure)) else logging.INFO
    if not _log.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "task_id": held.task_id,
        "task": held.delivery.type,
        "queue": held.queue,
        "attempt": held.attempt,
    }
    if held.carried is not None:
        fields["workflow"] = held.carried.workflow.id
    match outcome:
        case None:
            event = "handed back"
        case Success(duration):
            event = "succeeded"
            fields["duration_ms"] = round(duration * 1000, 2)
        case Replaced(duration):
            event = "replaced"
            fields["duration_ms"] = round(duration * 1000, 2)
        case RetryOutcome(duration, delay, _, evidence):
            event = "retry"
            fields["duration_ms"] = round(duration * 1000, 2)
            fields["retry_in_s"] = round(delay, 3)
            fields |= {"error": evidence.type, "message": evidence.message[:300]}
        case Failure(duration, reason, evidence):
            event = "dead-lettered"
            fields["duration_ms"] = round(duration * 1000, 2)
            fields |= {"reason": reason.value, "error": evidence.type}
            fields["message"] = evidence.message[:300]
    _log.log(level, event, extra={FIELDS: fields})
