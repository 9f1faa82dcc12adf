"""End what was revoked: what waits here at once, what runs if that can be done, or is asked for.

A coroutine task is cancelled. An isolated task is killed with its process. A task in a thread runs
on, unless the revocation says ``terminate``: then its executor is killed, as at a hard time limit,
and the other tasks in it run again elsewhere, without penalty.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Final

from rmqwork import headers as names
from rmqwork.control.standing import Standing
from rmqwork.control.wire import Command
from rmqwork.outcome import Evidence, Failure, Reason
from rmqwork.types import Delivery
from rmqwork.worker.held import Held

if TYPE_CHECKING:
    from rmqwork.worker.executor import Executor
    from rmqwork.worker.supervisor import Worker

_log = logging.getLogger(__name__)
_PATIENCE: Final = 2.0
"""Seconds that a cancelled coroutine task has, before ``terminate`` kills its process."""
_ENVELOPE: Final = "application/vnd.rmqwork.workflow+json"


def evidence_of(said: Command) -> Evidence:
    """What is kept with a revoked message."""
    at = datetime.fromtimestamp(said.at, UTC).isoformat(timespec="seconds")
    return Evidence("TaskRevoked", f"revoked by {said.by or 'somebody'} at {at}")


def workflow_of(delivery: Delivery) -> str | None:
    """The id of the workflow that a message belongs to, if it does to one."""
    text: object = delivery.headers.get(names.WORKFLOW)
    try:
        if text is None and delivery.content_type == _ENVELOPE:
            found = json.loads(delivery.body)["workflow"]
        elif isinstance(text, str | bytes):
            found = json.loads(text)
        else:
            return None
        return str(found["id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


class Revoking:
    """Sees to the revoked deliveries that a worker holds.

    Args:
        worker: which.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._chased: dict[Held, tuple[Command, float]] = {}

    def look(self, standing: Standing) -> int:
        """Find what is held and revoked, and begin to end it; returns how many there are."""
        worker = self._worker
        if not standing.revoked:
            return 0

        def unwanted(held: Held) -> bool:
            return self._said(held, standing) is not None

        waiting = worker.ready.remove(unwanted) + worker.dispatcher.suspects.remove(unwanted)
        for held in waiting:
            said = self._said(held, standing)
            assert said is not None
            worker.refuse(held, Reason.REVOKED, evidence_of(said))
        found = len(waiting)
        for seat in worker.dispatcher.seats:
            numbers = []
            for held in seat.held.values():
                said = self._said(held, standing)
                if said is not None:
                    self._chased[held] = (said, monotonic())
                    numbers.append(held.number)
            if numbers:
                found += len(numbers)
                seat.executor.give_back(numbers)
        self.chase()
        return found

    def chase(self) -> None:
        """End what runs and was revoked; called now and then while there is any."""
        if not self._chased:
            return
        now = monotonic()
        here = {held for seat in self._worker.dispatcher.seats for held in seat.held.values()}
        self._chased = {held: why for held, why in self._chased.items() if held in here}
        for seat in list(self._worker.dispatcher.seats):
            started = seat.executor.started()
            for number, held in list(seat.held.items()):
                why = self._chased.get(held)
                if why is not None and number in started:
                    self._end(seat.executor, held, *why, now)

    def ended(self, held: Held) -> Failure | None:
        """The outcome of a task that was cancelled because it was revoked; None: it was not."""
        why = self._chased.pop(held, None)
        return None if why is None else _failure(why[0])

    def _end(self, executor: Executor, held: Held, said: Command, since: float, now: float) -> None:
        terminate = bool(said.what.get("terminate"))
        worker = self._worker
        if held.lane == "async":
            executor.cancel(held.number, "revoked")
            if not terminate or now - since < _PATIENCE:
                return
        elif not (terminate or worker.is_isolated(held)):
            _log.info(
                "%s (%s) is revoked, and runs on in its thread; revoke it with terminate=True to "
                "kill it",
                held.task_id,
                held.delivery.type,
            )
            del self._chased[held]
            return
        _log.warning("%s (%s) is killed: it is revoked", held.task_id, held.delivery.type)
        del self._chased[held]
        worker.staff.condemn(executor, held.number, _failure(said))

    def _said(self, held: Held, standing: Standing) -> Command | None:
        workflow = workflow_of(held.delivery) if standing.revokes_workflows else None
        return standing.revocation(held.task_id, workflow)


def _failure(said: Command) -> Failure:
    return Failure(0.0, Reason.REVOKED, evidence_of(said))
