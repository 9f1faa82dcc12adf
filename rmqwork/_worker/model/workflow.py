"""A held delivery's workflow: what its message carries, and what follows from its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Final

from rmqwork._messages import headers as names
from rmqwork._results import record
from rmqwork._workflows import flow, splice
from rmqwork._workflows.context import MAX_SIZE, WorkflowContext
from rmqwork._workflows.document import ENVELOPE, Workflow, detach
from rmqwork.types import Delivery, Evidence, Publication, Reason

if TYPE_CHECKING:
    from rmqwork._worker.model.held import HeldDelivery

_MESSAGE_MOST: Final = 4000
_TRACEBACK_MOST: Final = 4000


@dataclass(frozen=True, slots=True)
class Carried:
    """What one message carries.

    Args:
        workflow: what comes after it.
        body: its task's, without an envelope.
        max_size: bytes of a body at most.
    """

    workflow: Workflow
    body: bytes
    max_size: int

    @property
    def takes_value(self) -> bool:
        """Whether what comes next takes the task's value."""
        return bool(self.workflow.link) or flow.takes_value(self.workflow.then)


def carried(delivery: Delivery, max_size: int = MAX_SIZE) -> Carried | None:
    """What a delivery carries; None: it is of no workflow.

    Raises:
        InvalidMessage: it cannot be read.
    """
    found = detach(delivery.headers, delivery.body)
    return None if found is None else Carried(*found, max_size)


def users_part(delivery: Delivery) -> tuple[dict[str, object] | None, str | None]:
    """The headers and content type of a workflow's message as its task is to see them."""
    headers = {key: val for key, val in delivery.headers.items() if key != names.WORKFLOW}
    kind = delivery.content_type
    return headers or None, "application/json" if kind == ENVELOPE else kind


def after_success(held: HeldDelivery, value: bytes) -> list[Publication]:
    """What is to be published next.

    Raises:
        TooLarge: the value makes a message that the broker would not take.
    """
    assert held.carried is not None
    return flow.succeeded(held.carried.workflow, value, _carry(held))


def after_replacement(held: HeldDelivery, node: bytes) -> list[Publication]:
    """What is to be published instead of a task that has replaced itself.

    Raises:
        TooLarge, ValueError: it cannot be.
    """
    given = splice.items_of(node.decode())
    workflow = Workflow(held.task_id) if held.carried is None else held.carried.workflow
    return flow.replaced(workflow, given[0], _carry(held))


def after_failure(held: HeldDelivery, reason: Reason, evidence: Evidence) -> flow.Broken:
    """What is to be published, and which tasks will never run."""
    assert held.carried is not None
    workflow = held.carried.workflow
    failure: dict[str, object] = {
        "task_id": held.task_id,
        "task": held.delivery.type,
        "reason": reason.value,
        "type": evidence.type,
        "message": evidence.message[:_MESSAGE_MOST],
        "traceback": evidence.traceback[-_TRACEBACK_MOST:],
        "attempt": held.attempt,
        "workflow": workflow.id,
    }
    return flow.failed(workflow, failure, _carry(held))


def never_ran(
    ids: Sequence[str], reply_to: str | None, reason: str, evidence: Evidence
) -> list[Publication]:
    """Answers for those who wait for tasks that will never run."""
    if not reply_to or not ids:
        return []
    short = Evidence(evidence.type, evidence.message, evidence.traceback[-_TRACEBACK_MOST:])
    body = record.failure(reason, short)
    return [Publication("", reply_to, body, id_, record.REPLY, correlation_id=id_) for id_ in ids]


def _carry(held: HeldDelivery) -> WorkflowContext:
    delivery, carried = held.delivery, held.carried
    if carried is None:
        return WorkflowContext(held.task_id, time(), delivery.reply_to, delivery.app_id)
    workflow = carried.workflow
    return WorkflowContext(
        workflow.id,
        time(),
        delivery.reply_to,
        delivery.app_id,
        workflow.expires_at,
        carried.max_size,
    )
