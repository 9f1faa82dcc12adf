"""What is decided of a delivery before its task runs."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rmqwork._messages import headers as names
from rmqwork._messages.header_checks import wrong_header
from rmqwork._worker.model.held import HeldDelivery, expired, number_header
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.model.workflow import carried
from rmqwork._worker.policy.copies import move_to_suspects
from rmqwork._worker.policy.crash_policy import (
    delivery_count,
    died_alone,
    died_in_place,
    is_suspect,
    is_suspect_in_place,
)
from rmqwork._worker.policy.decide import Decision, PublishThenAck, decide, unknown_task
from rmqwork._worker.policy.task_log import report
from rmqwork.errors import InvalidMessage
from rmqwork.types import Evidence, Failure, Reason

_log = logging.getLogger("rmqwork.worker")


class Triage:
    """Sorts out what is not to run, or not beside others.

    Args:
        plan: the app's tasks, and for how long an unknown one waits.
        server: the version of the broker that delivers.
        revoked: why a message was revoked, if it was.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        server: Callable[[], tuple[int, ...]],
        revoked: Callable[[HeldDelivery], Evidence | None] = lambda _: None,
    ) -> None:
        self._plan = plan
        self._server = server
        self._revoked = revoked

    def decide(self, held: HeldDelivery) -> Decision | None:
        """What is decided without running the task; None = it is to run."""
        headers = held.delivery.headers
        if headers:
            wrong = wrong_header(headers)
            if wrong is not None:
                return self.refused(held, Reason.INVALID_MESSAGE, Evidence("InvalidMessage", wrong))
            if names.WORKFLOW in headers:
                refused = self._carried(held)
                if refused is not None:
                    return refused
        return self._unfit(held) or self._suspicion(held)

    def _carried(self, held: HeldDelivery) -> Decision | None:
        """Read the workflow that a message is of."""
        try:
            held.carried = carried(held.delivery, self._plan.manifest.settings.max_message_size)
        except InvalidMessage as error:
            evidence = Evidence("InvalidMessage", str(error))
            return self.refused(held, Reason.INVALID_MESSAGE, evidence)
        return None

    def _unfit(self, held: HeldDelivery) -> Decision | None:
        """What no worker, or not this one, can run."""
        delivery = held.delivery
        if not delivery.type:
            invalid = Evidence("InvalidMessage", "the message has no type property (task name)")
            return self.refused(held, Reason.INVALID_MESSAGE, invalid)
        evidence = self._revoked(held)
        if evidence is not None:
            return self.refused(held, Reason.REVOKED, evidence)
        if expired(delivery):
            evidence = Evidence("Expired", "its time (expires) had passed before it could start")
            return self.refused(held, Reason.EXPIRED, evidence)
        task = self._plan.manifest.tasks.get(delivery.type)
        if task is None:
            what = f"app {self._plan.manifest.app!r} does not know task {delivery.type!r}"
            return self._unknown(held, what)
        version = number_header(delivery, names.VERSION, 1)
        if version > task.version and delivery.headers.get(names.EACH) != names.GATHERED:
            what = f"task {delivery.type!r} is known up to version {task.version}, not {version}"
            return self._unknown(held, what)
        held.lane = task.kind
        return None

    def _unknown(self, held: HeldDelivery, what: str) -> Decision:
        grace = self._plan.unknown_task_grace
        if names.UNKNOWN_SINCE not in held.delivery.headers:
            told = "%s: %s; it waits up to %g s for a worker that does"
            _log.warning(told, held.task_id, what, grace)
        return unknown_task(held, what, grace, self._plan.name)

    def _suspicion(self, held: HeldDelivery) -> Decision | None:
        """What is decided because workers or connections have died with a message before."""
        if not held.delivery.redelivered:
            return None
        if held.from_suspects:
            task = self._plan.manifest.tasks[str(held.delivery.type)]
            outcome = died_alone(held, task.max_attempts, self._server())
            if outcome is None:
                return None
            report(held, outcome)
            return decide(held, outcome, self._plan.name)
        if held.partition is not None:
            return self._suspicion_in_place(held)
        if is_suspect(delivery_count(held.delivery), self._server()):
            _log.warning(
                "%s: whatever held it died %d times; it will run isolated",
                held.task_id,
                delivery_count(held.delivery),
            )
            return PublishThenAck(move_to_suspects(held))
        return None

    def _suspicion_in_place(self, held: HeldDelivery) -> Decision | None:
        """In a partition nothing may overtake: a suspect runs alone, where it is."""
        task = self._plan.manifest.tasks[str(held.delivery.type)]
        count, server = delivery_count(held.delivery), self._server()
        outcome = died_in_place(count, task.max_attempts, server)
        if outcome is not None:
            report(held, outcome)
            return decide(held, outcome, self._plan.name)
        if is_suspect_in_place(count, server):
            held.suspect()
            _log.warning("%s: whatever held it died %d times; it runs alone", held.task_id, count)
        return None

    def refused(self, held: HeldDelivery, reason: Reason, evidence: Evidence) -> Decision:
        """What is decided of a message that must not run."""
        outcome = Failure(0.0, reason, evidence)
        report(held, outcome)
        return decide(held, outcome, self._plan.name)
