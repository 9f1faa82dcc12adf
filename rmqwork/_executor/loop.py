"""Coroutine tasks: on the event loop of the executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar
from functools import partial
from operator import contains
from types import TracebackType
from typing import Final

from rmqwork._executor.control_writer import ControlWriter
from rmqwork._executor.inbox import NUMBER, Inbox
from rmqwork._executor.ports import Keep, Runner, broken
from rmqwork._worker.ipc.start_marks import Marks
from rmqwork._worker.ipc.wire import Message, outcome_message
from rmqwork.types import Failure, Outcome

_RUN: Final[ContextVar[int]] = ContextVar("rmqwork_run")
"""The number of the delivery whose run this is, in all child tasks and callbacks of the run."""


class TaskLoop:
    """The coroutine tasks of an executor.

    All methods but `__init__` are called in the loop.

    Args:
        tasks: how many run at once.
        first_slot: the first of so many start marks.
        runner: runs the tasks.
        context: the context variables with which each run begins.
        ended: called when the worker process has closed the inbox and all that was started has
            been reported; again at each `check_end` after that.
        keep: writes results into a store; None: there is none.
    """

    def __init__(
        self,
        tasks: int,
        first_slot: int,
        *,
        runner: Runner,
        context: Context,
        inbox: Inbox,
        writer: ControlWriter,
        marks: Marks,
        ended: Callable[[], None],
        keep: Keep | None = None,
    ) -> None:
        self._runner = runner
        self._context = context
        self._inbox = inbox
        self._writer = writer
        self._marks = marks
        self._ended = ended
        self._keep = keep
        self._free = list(range(first_slot + tasks - 1, first_slot - 1, -1))
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()
        self._reports: list[Message] = []
        self._reported_slots: list[int] = []
        self._reading = False
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Start to take deliveries."""
        self._loop.add_reader(self._inbox.fileno(), self._on_readable)
        self._reading = True

    def cancel(self, number: int, why: str) -> None:
        """Cancel one task if it runs."""
        if task := self._tasks.get(number):
            self._cancelled.add(number)
            # Not before its first step, without which it would report nothing.
            self._loop.call_soon(task.cancel, why)

    def task(self, number: int) -> asyncio.Task[None] | None:
        """The task of a delivery; may be called in any thread."""
        return self._tasks.get(number)

    def cancel_all(self, why: str) -> None:
        """Cancel all tasks that run."""
        for number in list(self._tasks):
            self.cancel(number, why)

    def escaped(self, error: BaseException) -> bool:
        """Fail the run whose child task or callback has raised a `SystemExit` or a
        `KeyboardInterrupt`, as the end of ``asyncio.run`` would; False if it is nobody's.
        """
        number = _run_of(error.__traceback__)
        if number is None or (task := self._tasks.get(number)) is None:
            return False
        task.cancel(error)
        return True

    def check_end(self) -> None:
        """Call `ended` if no more can come and nothing runs."""
        if not self._inbox.ended:
            return
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._inbox.fileno())
        if not self._tasks and not self._reports:
            self._ended()

    def _on_readable(self) -> None:
        if not self._inbox.read():
            # The control thread reads the socket now, to give back what still comes.
            self._reading = False
            self._loop.remove_reader(self._inbox.fileno())
            return
        self._fill()
        if self._inbox.ended:
            self.check_end()

    def _fill(self) -> None:
        while self._free and (message := self._inbox.pop()) is not None:
            number = message[NUMBER]
            slot = self._free.pop()
            self._marks.start(slot, number)
            self._tasks[number] = self._loop.create_task(
                self._run(number, slot, message), context=self._context.copy()
            )

    async def _run(self, number: int, slot: int, message: Message) -> None:
        _RUN.set(number)
        try:
            prepared = self._runner.prepare(message)
            outcome: Outcome | None
            if isinstance(prepared, Failure):
                outcome = prepared
            else:
                outcome = await self._runner.arun(
                    prepared, partial(contains, self._cancelled, number)
                )
            if self._keep is not None and outcome is not None:
                outcome = await self._kept(self._keep, message, outcome)
        except asyncio.CancelledError:
            outcome = None
        except BaseException as error:
            outcome = broken(error)
        if outcome is None:
            self._report(number, slot, ("cancelled", number))
        else:
            self._report(number, slot, outcome_message(number, outcome))

    async def _kept(self, keep: Keep, message: Message, outcome: Outcome) -> Outcome:
        """Have the result stored; what has ended is not cancelled any more."""
        storing = self._loop.run_in_executor(None, keep, message, outcome)
        while not storing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(storing)
        return storing.result()

    def _report(self, number: int, slot: int, message: Message) -> None:
        """Send with all others of this turn of the loop."""
        if not self._reports:
            self._loop.call_soon(self._flush)
        self._reports.append(message)
        self._reported_slots.append(slot)
        del self._tasks[number]
        self._cancelled.discard(number)

    def _flush(self) -> None:
        reports, slots = self._reports, self._reported_slots
        self._reports, self._reported_slots = [], []
        self._writer.send(reports)
        for slot in slots:
            self._marks.clear(slot)
        self._free += slots
        self._fill()
        if self._inbox.ended:
            self.check_end()


def _run_of(frames: TracebackType | None) -> int | None:
    """The run to which a callback of asyncio belonged that has raised; None: unknown, as always
    with uvloop, whose handles have no frames."""
    while frames is not None:
        handle = frames.tb_frame.f_locals.get("self")
        if isinstance(handle, asyncio.Handle):
            context: Context = handle._context  # type: ignore[attr-defined]
            return context.get(_RUN)
        frames = frames.tb_next
    return None
