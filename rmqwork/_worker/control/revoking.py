"""End what was revoked: what waits here at once, what runs if that can be done, or is asked for.

A coroutine task is cancelled. An isolated task is killed with its process. A task in a thread runs
on, unless the revocation says ``terminate``: then its executor is killed, as at a hard time limit,
and the other tasks in it run again elsewhere, without penalty.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._worker.control.ports import Waiting
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.policy.revocations import Revocations, evidence_of
from rmqwork._worker.processes.executor import Executor
from rmqwork._worker.processes.executor_pool import ExecutorPool
from rmqwork.types import Failure, Reason

_log = logging.getLogger("rmqwork.worker.control")
_CANCEL_TIMEOUT: Final = 2.0
"""Seconds that a cancelled coroutine task has, before ``terminate`` kills its process."""


@dataclass(slots=True)
class _Chase:
    """What runs, or is about to, and was revoked."""

    said: Command
    since: float
    cancelled: bool = False


class Revoking:
    """Sees to the revoked deliveries that a worker holds.

    Args:
        plan: of the worker; knows which tasks are isolated.
        dispatcher: knows what executors have.
        pool: kills executors.
        waiting: what no executor has.
        revocations: what is revoked.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        dispatcher: Dispatcher[Executor],
        pool: ExecutorPool,
        waiting: Waiting,
        revocations: Revocations,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._plan = plan
        self._dispatcher = dispatcher
        self._pool = pool
        self._waiting = waiting
        self._revocations = revocations
        self._standing = ControlState()
        self._chased: dict[HeldDelivery, _Chase] = {}

    def adopt(self, standing: ControlState) -> int:
        """Find what is held and revoked, and begin to end it; returns how many there are."""
        self._standing = standing
        self._revocations.adopt(standing)
        if not standing.revoked:
            return 0
        said_of = self._revocations.command
        waiting = self._waiting.remove(lambda held: said_of(held) is not None)
        for held in waiting:
            said = said_of(held)
            assert said is not None
            self._waiting.refuse(held, Reason.REVOKED, evidence_of(said))
        found = len(waiting)
        for seat in self._dispatcher.seats:
            numbers = []
            for held in seat.held.values():
                said = said_of(held)
                if said is not None:
                    self._chased.setdefault(held, _Chase(said, self._clock())).said = said
                    numbers.append(held.number)
            if numbers:
                found += len(numbers)
                seat.executor.give_back(numbers)
        self.enforce()
        return found

    def tell(self, command: Command) -> dict[str, Any] | None:
        """The answer to ``revoke``; None: nothing that is revoked is here."""
        found = self.adopt(self._standing)
        return {"here": found} if found else None

    def enforce(self) -> None:
        """End what runs and was revoked; called now and then while there is any."""
        if not self._chased:
            return
        now = self._clock()
        here = {held for seat in self._dispatcher.seats for held in seat.held.values()}
        self._chased = {held: why for held, why in self._chased.items() if held in here}
        for seat in list(self._dispatcher.seats):
            started = seat.executor.started()
            for number, held in list(seat.held.items()):
                why = self._chased.get(held)
                if why is not None and number in started:
                    self._end(seat.executor, held, why, now)

    def ended(self, held: HeldDelivery) -> Failure | None:
        """The outcome of a task that was cancelled because it was revoked; None: it was not."""
        why = self._chased.pop(held, None)
        return None if why is None else _failure(why.said)

    def _end(self, executor: Executor, held: HeldDelivery, why: _Chase, now: float) -> None:
        terminate = bool(why.said.what.get("terminate"))
        may_kill = terminate or self._plan.is_isolated(held.delivery.type)
        if held.lane == "async":
            if not why.cancelled:  # once: it may be cleaning up
                why.cancelled = True
                executor.cancel(held.number, "revoked")
            if not may_kill or now - why.since < _CANCEL_TIMEOUT:
                return
        elif not may_kill:
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
        self._pool.kill_because_of(executor, held.number, _failure(why.said))


def _failure(said: Command) -> Failure:
    return Failure(0.0, Reason.REVOKED, evidence_of(said))
