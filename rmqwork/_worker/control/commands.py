"""What a worker does when it is told to, and what it says when it is asked."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Answer, Command, CommandRefused
from rmqwork._publisher.batch import Batch
from rmqwork._transport.connecting import connect
from rmqwork._worker.control.inspection import Inspection, Stacks
from rmqwork._worker.control.revoking import Revoking, evidence_of, said_of
from rmqwork._worker.control.scaling import scale
from rmqwork._worker.control.stream_reader import StreamReader
from rmqwork._worker.model.held import HeldDelivery
from rmqwork.errors import RmqworkError
from rmqwork.types import Evidence, Reason

if TYPE_CHECKING:
    from rmqwork._worker.processes.executor import Executor
    from rmqwork._worker.worker import Worker

_log = logging.getLogger("rmqwork.worker.control")
OPERATOR: Final = "operator"
"""Why a queue is not consumed: somebody has paused it."""
_ANSWER_TIMEOUT: Final = 5.0


class Control:
    """One worker's ear and mouth.

    Args:
        worker: what is controlled.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.standing = ControlState()
        in_memory = worker.plan.broker[0].startswith("memory:")
        self.follower = StreamReader(
            connect(worker.plan.broker, worker.plan.heartbeat),
            f"rmqwork worker {worker.plan.name} (control)",
            None if in_memory else worker.publisher,
            self,
        )
        self.revoking = Revoking(worker)
        self.inspection = Inspection(worker)
        self.stacks = Stacks(worker)
        self._levels: dict[str, int] = {}
        self.stop: Callable[[], None] = lambda: None
        """Begins the worker's shutdown."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._verbs: Mapping[str, Callable[[Command], Any]] = {
            "ping": lambda _: {},
            "inspect": self.inspection.tell,
            "pause": self._pause,
            "resume": self._pause,
            "revoke": self._revoke,
            "shutdown": self._shutdown,
            "scale": lambda command: scale(worker, command),
            "stack": self.stacks.tell,
            "log-level": self._log_level,
        }

    # ── what the streams say ──────────────────────────────────────────────────────────────────

    def adopt(self, standing: ControlState) -> None:
        """See `rmqwork._worker.control.stream_reader.Followed`."""
        self.standing = standing
        self._keep_pauses()
        self.revoking.look(standing)
        if standing.paused or standing.revoked:
            _log.info(
                "control: %d paused queues, %d revocations are known",
                len(standing.paused),
                standing.revoked,
            )

    def act(self, command: Command) -> None:
        """See `rmqwork._worker.control.stream_reader.Followed`."""
        plan = self._worker.plan
        if not command.is_for(plan.manifest.app, plan.name):
            return
        task = asyncio.get_running_loop().create_task(self._do(command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, command: Command) -> None:
        value, error = None, ""
        try:
            verb = self._verbs.get(command.do)
            if verb is None:
                raise CommandRefused(
                    f"this worker's rmqwork does not know {command.do!r}; update it"
                )
            value = verb(command)
            if asyncio.iscoroutine(value):
                value = await value
        except RmqworkError as problem:
            error = str(problem)
        except Exception as problem:
            _log.exception("control: %s", command.do)
            error = f"{type(problem).__name__}: {problem}"
        if command.reply_to and (value is not None or error):
            plan = self._worker.plan
            answer = Answer(
                plan.name, socket.gethostname(), os.getpid(), plan.manifest.app, value, error
            )
            # Nobody looks at what becomes of it: who asked may have gone.
            batch = Batch([answer.publication(command)], _ANSWER_TIMEOUT, expendable=True)
            self._worker.publisher.submit(batch)

    # ── queues ────────────────────────────────────────────────────────────────────────────────

    def _pause(self, command: Command) -> Any:
        queue = str(command.what.get("queue"))
        if queue not in dict(self._worker.plan.queues):
            return None  # not one of ours: nothing to say
        self._keep_pauses()
        return {"queue": queue, "paused": queue in self.standing.paused}

    def _keep_pauses(self) -> None:
        """Consume the queues that are not paused, and no others."""
        paused = self.standing.paused
        for queue, _ in self._worker.plan.queues:
            said = paused.get(queue)
            reasons = self._worker.consumption.reasons(queue)
            if (said is not None) == (OPERATOR in reasons):
                continue
            if said is not None:
                _log.warning("queue %r is paused by %s", queue, said.by)
                self._worker.consumption.pause(queue, OPERATOR)
            else:
                _log.warning("queue %r is resumed", queue)
                self._worker.consumption.resume(queue, OPERATOR)

    def release(self, queue: str) -> None:
        """A queue is not consumed any more: what has not started goes back to it."""
        worker = self._worker

        def waits(held: HeldDelivery) -> bool:
            return held.queue == queue

        for held in worker.remove(waits):
            worker.hand_back(held)
        for seat in worker.dispatcher.seats:
            numbers = [held.number for held in seat.held.values() if waits(held)]
            if numbers:
                seat.executor.give_back(numbers)

    def kept(self, helds: Sequence[HeldDelivery]) -> list[HeldDelivery]:
        """Of deliveries that have come back from an executor unstarted, those that are to run."""
        kept: list[HeldDelivery] = []
        for held in helds:
            evidence = self.revoked(held)
            if evidence is not None:
                self._worker.refuse(held, Reason.REVOKED, evidence)
            elif self._worker.consumption.reasons(held.queue):
                self._worker.hand_back(held)
            else:
                kept.append(held)
        return kept

    # ── tasks ─────────────────────────────────────────────────────────────────────────────────

    def revoked(self, held: HeldDelivery) -> Evidence | None:
        """Why a delivery is not to run, if somebody has revoked it."""
        standing = self.standing
        if not standing.revoked:
            return None
        said = said_of(held, standing)
        return None if said is None else evidence_of(said)

    def _revoke(self, command: Command) -> Any:
        found = self.revoking.look(self.standing)
        return {"here": found} if found else None

    def detail(self) -> dict[str, object]:
        """What probes and people are told."""
        consumption = self._worker.consumption
        reasons = {queue: consumption.reasons(queue) for queue, _ in self._worker.plan.queues}
        return {
            "paused": {queue: sorted(why) for queue, why in reasons.items() if why},
            "control": self.follower.problem or "on",
        }

    # ── the worker ────────────────────────────────────────────────────────────────────────────

    def greet(self, executor: Executor) -> None:
        """Tell a new executor what was said to others."""
        for logger, level in self._levels.items():
            executor.log_level(logger, level)

    def _log_level(self, command: Command) -> Any:
        name = str(command.what.get("level", "")).upper()
        logger = str(command.what.get("logger") or "")
        level = logging.getLevelNamesMapping().get(name)
        if level is None:
            raise CommandRefused(f"unknown log level {name!r}; use debug, info, warning or error")
        logging.getLogger(logger or None).setLevel(level)
        self._levels[logger] = level
        for executor in self._worker.staff.answering():
            executor.log_level(logger, level)
        _log.warning("log level of %s is %s, says %s", logger or "all", name, command.by)
        return {"level": name, "logger": logger or None}

    def _shutdown(self, command: Command) -> Any:
        _log.warning("shutdown was asked for by %s", command.by)
        # After the answer has left, as far as that can be told.
        asyncio.get_running_loop().call_later(0.1, self.stop)
        return {"stopping": True}
