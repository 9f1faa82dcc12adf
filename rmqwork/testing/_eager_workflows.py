"""Workflows that run where they are published: what a worker and its joins would do, at once."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace

from rmqwork._messages import headers as names
from rmqwork._results import record
from rmqwork._workflows import flow, join_messages, splice
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.document import Workflow, detach
from rmqwork.types import Failure, Outcome, Publication, Replaced, Success


@dataclass(slots=True)
class _Join:
    opened: join_messages.Opened
    values: dict[int, bytes] = field(default_factory=dict)


class EagerWorkflows:
    """What follows from what an `Eager` has run."""

    def __init__(self) -> None:
        self._joins: dict[str, _Join] = {}

    def plain(self, publication: Publication) -> tuple[Workflow | None, Publication]:
        """What comes after a task, and its message without that."""
        found = detach(publication.headers, publication.body)
        if found is None:
            return None, publication
        headers = {key: val for key, val in publication.headers.items() if key != names.WORKFLOW}
        plain = replace(
            publication, body=found[1], headers=headers, content_type="application/json"
        )
        return found[0], plain

    def after(
        self, workflow: Workflow, publication: Publication, outcome: Outcome | None
    ) -> list[Publication]:
        """What follows from the outcome of a task."""
        reply_to, app_id = publication.reply_to, publication.app_id
        carry = WorkflowContext(workflow.id, time.time(), reply_to, app_id, workflow.expires_at)
        match outcome:
            case Success(_, result) if result is not None:
                return flow.succeeded(workflow, record.value_of(result) or b"null", carry)
            case Replaced(_, node):
                return flow.replaced(workflow, json.loads(node), carry)
            case Failure(_, reason, evidence):
                failure = {
                    "task_id": publication.message_id,
                    "task": publication.type,
                    "reason": reason.value,
                    "type": evidence.type,
                    "message": evidence.message,
                    "traceback": evidence.traceback,
                    "attempt": 1,
                    "workflow": workflow.id,
                }
                return flow.failed(workflow, failure, carry).publications
            case _:
                return []

    def joined(self, publication: Publication) -> list[Publication]:
        """What follows when a join has been told something."""
        kind, name, body = (
            publication.headers[names.JOIN],
            publication.message_id,
            publication.body,
        )
        if kind == join_messages.Kind.OPEN:
            self._joins[name] = _Join(join_messages.read_opened(body, time.time(), 1 << 60))
            return []
        join = self._joins.get(name)
        if join is None:  # it has ended
            return []
        opened = join.opened
        if kind == join_messages.Kind.FAILED:
            del self._joins[name]
            return flow.ended(opened.then, json.loads(body), opened.carry).publications
        index = publication.headers.get(names.INDEX)
        assert isinstance(index, int)
        join.values[index] = body
        if len(join.values) < opened.size:
            return []
        del self._joins[name]
        values = splice.array([join.values[at] for at in range(opened.size)])
        return flow.proceed(opened.then, values, opened.carry)
