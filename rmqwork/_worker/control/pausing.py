"""Pause and resume queues for operators."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.control.ports import Waiting
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.processes.executor import Executor

_log = logging.getLogger("rmqwork.worker.control")
OPERATOR: Final = "operator"
"""Why a queue is not consumed: somebody has paused it."""


class Pausing:
    """Ends and begins the consumers of queues, as operators have said.

    Args:
        queues: of the worker.
        consumption: consumes them.
        dispatcher: knows what executors have of them.
        waiting: what no executor has.
    """

    def __init__(
        self,
        queues: Sequence[str],
        consumption: ConsumerConnection,
        dispatcher: Dispatcher[Executor],
        waiting: Waiting,
    ) -> None:
        self._queues = queues
        self._consumption = consumption
        self._dispatcher = dispatcher
        self._waiting = waiting
        self._standing = ControlState()

    def adopt(self, standing: ControlState) -> None:
        """Consume the queues that are not paused, and no others."""
        self._standing = standing
        paused = standing.paused
        for queue in self._queues:
            said = paused.get(queue)
            if (said is not None) == (OPERATOR in self._consumption.reasons(queue)):
                continue
            if said is not None:
                _log.warning("queue %r is paused by %s", queue, said.by)
                self._consumption.pause(queue, OPERATOR)
            else:
                _log.warning("queue %r is resumed", queue)
                self._consumption.resume(queue, OPERATOR)

    def tell(self, command: Command) -> dict[str, Any] | None:
        """The answer to ``pause`` and ``resume``; None: the queue is none of this worker's."""
        queue = str(command.what.get("queue"))
        if queue not in self._queues:
            return None
        self.adopt(self._standing)
        return {"queue": queue, "paused": queue in self._standing.paused}

    def release(self, queue: str) -> None:
        """A queue is not consumed any more: what has not started goes back to it."""

        def waits(held: HeldDelivery) -> bool:
            return held.queue == queue

        for held in self._waiting.remove(waits):
            self._waiting.hand_back(held)
        for seat in self._dispatcher.seats:
            numbers = [held.number for held in seat.held.values() if waits(held)]
            if numbers:
                seat.executor.give_back(numbers)

    def detail(self) -> dict[str, list[str]]:
        """The queues that are not consumed, and why."""
        reasons = {queue: self._consumption.reasons(queue) for queue in self._queues}
        return {queue: sorted(why) for queue, why in reasons.items() if why}
