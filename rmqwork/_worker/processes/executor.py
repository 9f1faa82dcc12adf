"""One executor, as the worker process sees it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from enum import Enum
from typing import Protocol

from rmqwork._worker.ipc.crash_log import SIZE, CrashReport
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.reports import DEFAULT_MAX_FRAME, ReportUnpacker, ReportViolation
from rmqwork._worker.ipc.start_marks import Marks, create, size
from rmqwork._worker.ipc.wire import Message, published_message
from rmqwork._worker.processes.pipe import Pipe
from rmqwork.errors import PublishError


class State(Enum):
    """Where an executor is in its life."""

    STARTING = "starting"
    """Ordered; its lifespan may be beginning."""
    READY = "ready"
    """Takes deliveries."""
    STOPPING = "stopping"
    """Was told to exit."""
    DEAD = "dead"


class ExecutorEvents(Protocol):
    """What the worker is told of its executors."""

    def on_ready(self, executor: Executor) -> None:
        """It takes deliveries from now on."""

    def on_messages(self, executor: Executor, messages: list[Message]) -> None:
        """All messages of one read of its control socket: ``o``, ``back``, ``cancelled``,
        ``publish``, ``pong``, ``progress``, ``warning``, ``log``."""

    def on_death(self, executor: Executor, death: Death) -> None:
        """It is dead; all that it has written has been given to `on_messages` before."""


class Executor:
    """An executor process.

    Args:
        executor_id: unique in the life of its template.
        threads: how many tasks it runs at once in threads.
        async_tasks: how many on its event loop.
        events: is told what happens.
        kill: sends it a signal.
        max_frame: bytes of a frame of its reports at most.
    """

    def __init__(
        self,
        executor_id: int,
        threads: int,
        async_tasks: int,
        events: ExecutorEvents,
        kill: Callable[[int, int], None],
        max_frame: int = DEFAULT_MAX_FRAME,
    ) -> None:
        self.id = executor_id
        self.threads = threads
        self.async_tasks = async_tasks
        self.pid: int | None = None
        self.state = State.STARTING
        self.finished = 0
        """Tasks that it has run to an outcome."""
        self._events = events
        self._kill = kill
        self._error: str | None = None
        self._sent: dict[int, float] = {}
        self._when_ended: Callable[[], None] | None = None
        self._has_ended = False
        control, their_control = socket.socketpair()
        by_threads, their_threads = socket.socketpair()
        by_loop, their_loop = socket.socketpair()
        slots = threads + async_tasks
        marks = create(slots, SIZE)
        self._marks = Marks(marks, slots)
        self._remains = CrashReport(marks, size(slots))
        self._fds = [
            their_control.detach(),
            their_threads.detach(),
            their_loop.detach(),
            marks,
        ]
        self._control = Pipe(
            control, self._receive, self._ended, ReportUnpacker(max_frame), self._violated
        )
        self._by_threads = Pipe(by_threads)
        self._by_loop = Pipe(by_loop)

    def __repr__(self) -> str:
        return f"<Executor {self.id} pid {self.pid} {self.state.value}>"

    def take_fds(self) -> list[int]:
        """The descriptors of the other ends, to be sent once."""
        fds, self._fds = self._fds, []
        return fds

    # Deliveries

    def send_threads(self, batch: Sequence[Message]) -> None:
        """Give it deliveries (``("d", number, …)``) of tasks that run in threads."""
        self._sent.update(dict.fromkeys([message[1] for message in batch], time.monotonic()))
        self._by_threads.send(batch)

    def send_async(self, batch: Sequence[Message]) -> None:
        """Give it deliveries of coroutine tasks."""
        self._sent.update(dict.fromkeys([message[1] for message in batch], time.monotonic()))
        self._by_loop.send(batch)

    @property
    def outstanding(self) -> Collection[int]:
        """The deliveries that it has: sent, and neither reported nor given back."""
        return self._sent.keys()

    @property
    def backlog(self) -> int:
        """Bytes of deliveries that its sockets have not taken yet."""
        return self._by_threads.backlog + self._by_loop.backlog

    def started(self) -> dict[int, float]:
        """The deliveries that run now, and since when (``time.monotonic()``)."""
        sent = self._sent
        return {
            # Not before it was sent: on some processors the number may be seen before the time.
            number: max(start, sent[number])
            for number, start in self._marks.read().items()
            if number in sent
        }

    # Control

    def give_back(self, numbers: Collection[int] | None = None) -> None:
        """Have it report as ``back`` what it has not started.

        Args:
            numbers: which deliveries; it goes on with all others. None = all that it has and all
                that it is still sent, for good: it starts nothing more.
        """
        wanted = None if numbers is None else list(numbers)
        self._control.send([("give-back", wanted)])

    def stopping(self) -> None:
        """Set ``ctx.stopping`` in its tasks."""
        self._control.send([("stopping",)])

    def cancel_async(self) -> None:
        """Cancel all its coroutine tasks; each reports an outcome or ``("cancelled", number)``."""
        self._control.send([("cancel-async",)])

    def cancel(self, number: int, why: str) -> None:
        """Cancel one coroutine task."""
        self._control.send([("cancel", number, why)])

    def published(
        self, request: int, answer: Sequence[PublishError | None] | BaseException
    ) -> None:
        """Answer a ``("publish", request, …)``; see `published_message`."""
        self._control.send([published_message(request, answer)])

    def stack(self, request: int, number: int) -> None:
        """Have it answer ``("stack", request, text)``: where a task stands."""
        self._control.send([("stack", request, number)])

    def log_level(self, logger: str, level: int) -> None:
        """Set the level of one of its loggers; an empty name is the root's."""
        self._control.send([("log-level", logger or None, level)])

    def ping(self, number: int) -> None:
        """Have it answer ``("pong", number)``."""
        self._control.send([("ping", number)])

    def exit(self) -> None:
        """Have it give back what it has not started, finish what runs, and exit with code 0."""
        if self.state is not State.DEAD:
            self.state = State.STOPPING
        self._control.send([("exit",)])
        self._by_threads.end()
        self._by_loop.end()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal; it is dead only when `ExecutorEvents.on_death` says so."""
        self._kill(self.id, number)

    # Events

    def _receive(self, messages: list[Message]) -> None:
        sent = self._sent
        others = False
        foreign: int | None = None
        for index, message in enumerate(messages):
            kind = message[0]
            if kind in ("o", "cancelled"):
                if sent.pop(message[1], None) is None:
                    foreign = message[1]
                self.finished += 1
            elif kind == "back":
                for number in message[1]:
                    if sent.pop(number, None) is None:
                        foreign = number
            elif kind in ("ready", "import-error", "lifespan-error"):
                others = True
            if foreign is not None:
                messages = messages[:index]
                break
        if others:
            messages = [message for message in messages if not self._own(message)]
        if messages:
            self._events.on_messages(self, messages)
        if foreign is not None:
            raise ReportViolation(f"a report of delivery {foreign}, which it does not have")

    def _own(self, message: Message) -> bool:
        """Whether a message is about the executor itself; what it says is done."""
        match message:
            case ("ready", _):  # its process id is what the template says
                if self.state is State.STARTING:
                    self.state = State.READY
                self._events.on_ready(self)
            case ("import-error", text):
                self._error = f"the app cannot be imported:\n{text}"
            case ("lifespan-error", text):
                self._error = f"the lifespan failed:\n{text}"
            case _:
                return False
        return True

    def _violated(self, error: ReportViolation) -> None:
        """It cannot be trusted any more: what runs in it is under suspicion."""
        self._error = f"it sent what no executor sends ({error}), and was killed"
        self.kill()

    def _ended(self) -> None:
        """The control socket has ended: it is dead, or as good as dead."""
        self._has_ended = True
        if self._when_ended is not None:
            self._when_ended()
        else:
            # Alive without its sockets (a task has closed them) it would be lost to us.
            self.kill()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Have a callback when its control socket has ended, which may be now."""
        self._when_ended = callback
        if self._has_ended:
            callback()

    def died(self, death: Death) -> None:
        """Take the news of its death: read what it has left, then tell.

        Its death comes from its parent and not from the end of its socket: a child that a task has
        forked behind Python's back may hold the socket open.
        """
        if self.state is State.DEAD:
            return
        self._when_ended = lambda: None
        self._control.drain()
        told = self.state is State.STOPPING
        self.state = State.DEAD
        unfinished = self.started()
        unstarted = tuple(number for number in self._sent if number not in unfinished)
        self._sent.clear()
        for pipe in (self._control, self._by_threads, self._by_loop):
            pipe.close()
        words = self._remains.read()
        self._remains.close()
        self._marks.close()
        for fd in self.take_fds():
            os.close(fd)
        self._events.on_death(
            self,
            replace(
                death,
                pid=death.pid or self.pid,
                error=death.error or self._error,
                unfinished=unfinished,
                unstarted=unstarted,
                words=words,
                expected=told and death.exit_code == 0,
            ),
        )
