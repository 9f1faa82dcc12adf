"""Tasks in threads: each thread fetches its next delivery, runs it, and reports, all by itself.

Where the main thread runs sync tasks (`TaskThreads.run_in_main_thread`), it does all this as the
only thread; or, beside others, it runs what one of them has fetched, whenever it is free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from rmqwork._executor.control_writer import ControlWriter
from rmqwork._executor.inbox import NUMBER, Inbox
from rmqwork._executor.limits import Limit, Watchdog
from rmqwork._executor.main_thread import MainThread
from rmqwork._executor.ports import Keep, Runner, broken
from rmqwork._worker.ipc.start_marks import Marks
from rmqwork._worker.ipc.wire import Message, outcome_message
from rmqwork.types import Failure, Outcome, TimeLimitReached


class TaskThreads:
    """The threads of an executor; thread n uses start mark n.

    Args:
        threads: how many tasks run at once.
        runner: runs the tasks.
        context: the context variables with which each run begins.
        ended: called by the last thread, after the worker process has closed the inbox and all
            that was started has been reported; at the start where there is no thread.
        keep: writes results into a store; None: there is none.
        after_main_run: called in the main thread after each run there; None = the main thread runs
            no tasks.
    """

    def __init__(
        self,
        threads: int,
        *,
        runner: Runner,
        context: Context,
        inbox: Inbox,
        writer: ControlWriter,
        marks: Marks,
        ended: Callable[[], None],
        keep: Keep | None = None,
        after_main_run: Callable[[], object] | None = None,
    ) -> None:
        self._runner = runner
        self._context = context
        self._inbox = inbox
        self._writer = writer
        self._marks = marks
        self._ended = ended
        self._keep = keep
        self._watchdog = Watchdog(threads)
        self._lock = threading.Lock()
        self._running = threads
        self._main = None if after_main_run is None else MainThread(after_main_run)
        self._alone_in_main = self._main is not None and threads == 1
        self._threads = [
            # Daemons: a task that never ends must not hold back the process's end.
            threading.Thread(target=self._work, args=(slot,), name=f"task-{slot}", daemon=True)
            for slot in range(0 if self._alone_in_main else threads)
        ]

    def start(self) -> None:
        """Start to take deliveries."""
        for thread in self._threads:
            thread.start()
        if not self._running:  # an app of coroutine tasks alone, or of none
            self._ended()

    def run_in_main_thread(self) -> None:
        """Run tasks in the calling thread, which is the main thread, until no more come."""
        assert self._main is not None
        if self._alone_in_main:
            self._main.slot = 0
            self._work(0)
        else:
            self._main.serve()

    def ident(self, slot: int) -> int | None:
        """The identifier of the thread that runs the task of a slot."""
        if self._main is not None and self._main.slot == slot:
            return self._main.ident
        return self._threads[slot].ident

    def _work(self, slot: int) -> None:
        inbox, writer, marks, keep = self._inbox, self._writer, self._marks, self._keep
        while (message := inbox.take()) is not None:
            number = message[NUMBER]
            marks.start(slot, number)
            outcome = self._run_alone(slot, message)
            if keep is not None:
                outcome = keep(message, outcome)
            writer.send((outcome_message(number, outcome),))
            marks.clear(slot)
        with self._lock:
            self._running -= 1
            last = not self._running
        if last:
            if self._main is not None:
                self._main.end()
            self._ended()

    def _run_alone(self, slot: int, message: Message) -> Outcome:
        """Run a task with context variables of its own, in the main thread if that is free."""
        context = self._context.copy()
        if self._main is None:
            return context.run(self._run, slot, message)

        def run() -> Outcome:
            return context.run(self._run, slot, message)

        if self._alone_in_main:
            return self._main.restored(run)
        job = self._main.take(slot, run)
        return run() if job is None else job.outcome()

    def _run(self, slot: int, message: Message) -> Outcome:
        try:
            prepared = self._runner.prepare(message)
            if isinstance(prepared, Failure):
                return prepared
            if prepared.time_limit is None:
                return self._runner.run(prepared)
            return self._run_limited(slot, prepared, prepared.time_limit)
        except BaseException as error:
            return broken(error)

    def _run_limited(self, slot: int, prepared: Any, seconds: float) -> Outcome:
        outcome: Outcome | None = None
        limit = Limit(seconds, prepared.task_name)
        try:
            self._watchdog.watch(slot, limit)
            outcome = self._runner.run(prepared)
            self._watchdog.end(slot, limit)
        except TimeLimitReached:
            # It comes at most once, so nothing interrupts this block. It may have come after the
            # task had ended, when there is an outcome already: then that one holds.
            self._watchdog.end(slot, limit)
            if outcome is None:
                outcome = self._runner.timed_out(prepared, seconds)
        return outcome
