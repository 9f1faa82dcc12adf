"""Execute operators' commands on this worker, and send the answers."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Answer, Command, CommandRefused
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._transport.connecting import connect
from rmqwork._worker.control.pausing import Pausing
from rmqwork._worker.control.revoking import Revoking
from rmqwork._worker.control.stream_reader import StreamReader
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork.errors import RmqworkError

_log = logging.getLogger("rmqwork.worker.control")
_ANSWER_TIMEOUT: Final = 5.0
_ANSWER_LEAVES: Final = 0.1
"""Seconds that the answer to ``shutdown`` has, to leave before the shutdown begins."""

Verb = Callable[[Command], Any]
"""Does what a command says; returns the answer, a coroutine of it, or None for no answer."""


class Control:
    """Executes operators' commands on this worker, and sends the answers.

    Args:
        plan: of the worker.
        publisher: of the worker.
        pausing: its paused queues.
        revoking: its revoked tasks.
        verbs: further commands, by name.
        stop: begins the worker's shutdown.
    """

    def __init__(
        self,
        plan: WorkerSpec,
        publisher: Publisher,
        pausing: Pausing,
        revoking: Revoking,
        verbs: Mapping[str, Verb],
        stop: Callable[[], None],
    ) -> None:
        self._app = plan.manifest.app
        self._name = plan.name
        self._publisher = publisher
        self._pausing = pausing
        self._revoking = revoking
        self._stop = stop
        in_memory = plan.broker[0].startswith("memory:")
        self.follower = StreamReader(
            connect(plan.broker, plan.heartbeat),
            f"rmqwork worker {plan.name} (control)",
            None if in_memory else publisher,
            self,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._verbs: Mapping[str, Verb] = {
            "ping": lambda _: {},
            "pause": pausing.tell,
            "resume": pausing.tell,
            "revoke": revoking.tell,
            "shutdown": self._shutdown,
            **verbs,
        }

    def adopt(self, standing: ControlState) -> None:
        """See `rmqwork._worker.control.stream_reader.Followed`."""
        self._pausing.adopt(standing)
        self._revoking.adopt(standing)
        if standing.paused or standing.revoked:
            _log.info(
                "control: %d paused queues, %d revocations are known",
                len(standing.paused),
                standing.revoked,
            )

    def act(self, command: Command) -> None:
        """See `rmqwork._worker.control.stream_reader.Followed`."""
        if not command.is_for(self._app, self._name):
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
            answer = Answer(self._name, socket.gethostname(), os.getpid(), self._app, value, error)
            # Nobody looks at what becomes of it: who asked may have gone.
            batch = Batch([answer.publication(command)], _ANSWER_TIMEOUT, best_effort=True)
            self._publisher.submit(batch)

    def _shutdown(self, command: Command) -> dict[str, Any]:
        _log.warning("shutdown was asked for by %s", command.by)
        # After the answer has left, as far as that can be told.
        asyncio.get_running_loop().call_later(_ANSWER_LEAVES, self._stop)
        return {"stopping": True}
