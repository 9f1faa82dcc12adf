"""A held delivery's workflow: what its message carries, and what follows from its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from time import time
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._results import record
from rmqwork._workflows import flow, splice
from rmqwork._workflows.context import MAX_SIZE, WorkflowContext
from rmqwork._workflows.document import ENVELOPE, Workflow, detach
from rmqwork._workflows.nodes import check_frame, check_workflow
from rmqwork.errors import InvalidMessage
from rmqwork.types import Delivery, Evidence, Publication, Reason

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
    if found is None:
        return None
    try:
        check_workflow(found[0], max_size)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"the workflow that it carries cannot go on: {error}") from error
    return Carried(*found, max_size)


def users_part(delivery: Delivery) -> tuple[dict[str, object] | None, str | None]:
    """The headers and content type of a workflow's message as its task is to see them."""
    headers = {key: val for key, val in delivery.headers.items() if key != names.WORKFLOW}
    kind = delivery.content_type
    return headers or None, "application/json" if kind == ENVELOPE else kind


def after_success(carried: Carried, delivery: Delivery, value: bytes) -> list[Publication]:
    """What is to be published next.

    Raises:
        TooLarge: the value makes a message that the broker would not take.
    """
    return flow.succeeded(carried.workflow, value, _carry(carried, delivery))


def after_replacement(
    carried: Carried | None, delivery: Delivery, task_id: str, node: bytes, home: str
) -> list[Publication]:
    """What is to be published instead of a task that has replaced itself.

    Args:
        carried: None = the task was of no workflow.
        delivery: its message.
        task_id: of the task.
        node: what is to be in its place.
        home: the queue that the message came from: the end of a map goes there.

    Raises:
        TooLarge, ValueError: it cannot be.
    """
    given = last = splice.items_of(node.decode())[0]
    while last.get("chain"):
        last = last["chain"][-1]
    if "key" not in last:
        last |= {"exchange": "", "key": home}
    check_frame(given)
    if carried is None:
        alone = WorkflowContext(task_id, time(), delivery.reply_to, delivery.app_id)
        return flow.replaced(Workflow(task_id), given, alone)
    return flow.replaced(carried.workflow, given, _carry(carried, delivery))


def after_failure(
    carried: Carried,
    delivery: Delivery,
    task_id: str,
    attempt: int,
    reason: Reason,
    evidence: Evidence,
) -> flow.Broken:
    """What is to be published, and which tasks will never run.

    Args:
        carried: what the task's message carries.
        delivery: the message.
        task_id: of the task.
        attempt: its last one, from 1.
        reason: why it has failed for good.
        evidence: the error.
    """
    workflow = carried.workflow
    failure: dict[str, object] = {
        "task_id": task_id,
        "task": delivery.type,
        "reason": reason.value,
        "type": evidence.type,
        "message": evidence.message[:_MESSAGE_MOST],
        "traceback": evidence.traceback[-_TRACEBACK_MOST:],
        "attempt": attempt,
        "workflow": workflow.id,
    }
    return flow.failed(workflow, failure, _carry(carried, delivery))


def never_ran(
    broken: flow.Broken, reply_to: str | None, reason: str, evidence: Evidence
) -> list[Publication]:
    """Answers for those who wait for tasks that will never run."""
    if not reply_to or not broken.never:
        return []
    short = Evidence(evidence.type, evidence.message, evidence.traceback[-_TRACEBACK_MOST:])
    body = record.failure(reason, short)
    return [
        Publication(
            "",
            reply_to,
            body,
            task_id,
            record.REPLY,
            {names.RUN: broken.runs[task_id]} if task_id in broken.runs else {},
            correlation_id=task_id,
        )
        for task_id in broken.never
    ]


def _carry(carried: Carried, delivery: Delivery) -> WorkflowContext:
    workflow = carried.workflow
    return WorkflowContext(
        workflow.id,
        time(),
        delivery.reply_to,
        delivery.app_id,
        workflow.expires_at,
        carried.max_size,
    )
