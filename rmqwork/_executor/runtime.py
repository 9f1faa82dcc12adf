"""`ExecutorRuntime`: the sockets, threads and event loop that run an executor's tasks."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final

from rmqwork._executor.control import ControlThread
from rmqwork._executor.control_writer import ControlWriter
from rmqwork._executor.entered_lifespan import EnteredLifespan
from rmqwork._executor.inbox import Inbox
from rmqwork._executor.loop import TaskLoop
from rmqwork._executor.loop_runner import LoopRunner
from rmqwork._executor.pipe_publisher import PipePublisher
from rmqwork._executor.stacks import coroutine_stack, thread_stack
from rmqwork._executor.threads import TaskThreads
from rmqwork._tasks.evidence import user_traceback
from rmqwork._worker.ipc.reports import FRAME_OVERHEAD
from rmqwork._worker.ipc.start_marks import Marks

EXIT_LIFESPAN_ERROR: Final = 3


@dataclass(frozen=True, slots=True)
class Assignment:
    """The size of an executor, and its ends of the sockets to the worker process.

    Args:
        threads: how many tasks run at once in threads.
        async_tasks: how many run at once on the event loop.
        fds: control, thread deliveries, async deliveries, start marks.
        event_loop: of coroutine tasks: ``asyncio`` or ``uvloop``.
        isolated: whether it is for deliveries that run alone.
    """

    threads: int
    async_tasks: int
    fds: tuple[int, ...]
    event_loop: str
    isolated: bool = False

    @property
    def uses_main_thread(self) -> bool:
        """Whether sync tasks run in the main thread of their process; otherwise it is the event
        loop's. One thread is enough for both where it is the only one."""
        return self.threads == 1 or (self.isolated and self.threads > 0)


class ExecutorRuntime:
    """Takes deliveries from the sockets, runs their tasks, and reports the outcomes.

    It does not know whether it has a process of its own (`ExecutorProcess`) or a thread of the
    worker's (`rmqwork.testing`). Made and run in one thread, which runs the event loop of coroutine
    tasks; or, as the main thread of a process, sync tasks, and the loop has a thread of its own.

    Args:
        assignment: its size and its descriptors, which belong to it from now on.
        loop: the event loop of coroutine tasks.
        on_broken_socket: called, in any thread and perhaps often, when a socket fails.
        on_worker_end: called in the control thread when the worker process has closed its end;
            None = serve no longer.
        after_main_run: called after each run in the main thread, for an executor that uses it
            (`Assignment.uses_main_thread`); None = tasks run in other threads.
    """

    def __init__(
        self,
        assignment: Assignment,
        loop: asyncio.AbstractEventLoop,
        *,
        on_broken_socket: Callable[[], object],
        on_worker_end: Callable[[], object] | None = None,
        after_main_run: Callable[[], object] | None = None,
    ) -> None:
        self._assignment = assignment
        self._after_main_run = after_main_run if assignment.uses_main_thread else None
        self._on_broken_socket = on_broken_socket
        self._loops = LoopRunner(loop, self._escaped)
        self._loop = loop
        self._on_worker_end = on_worker_end or self._abandon
        control, threads, tasks, marks = assignment.fds
        self._control = socket.socket(fileno=control)
        self._control.setblocking(True)
        thread_socket, async_socket = socket.socket(fileno=threads), socket.socket(fileno=tasks)
        thread_socket.setblocking(True)
        async_socket.setblocking(False)
        self.writer = ControlWriter(self._control, on_broken_socket)
        self._thread_inbox = Inbox(thread_socket, self._give_back, on_broken_socket)
        self._async_inbox = Inbox(async_socket, self._give_back, on_broken_socket)
        self._marks = Marks(marks, assignment.threads + assignment.async_tasks)
        self.publisher = PipePublisher(self.writer)
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._abandoned = asyncio.Event()
        self._task_loop: TaskLoop | None = None
        self._task_threads: TaskThreads | None = None
        self._listener = ControlThread(
            self._control,
            writer=self.writer,
            inboxes=(self._thread_inbox, self._async_inbox),
            publisher=self.publisher,
            hooks=self,
        )

    def listen(self) -> None:
        """Start to obey the worker process, which may be before the app is imported."""
        self._listener.start()

    def run(self, app: Any, entered: Callable[[], object] = lambda: None) -> int:
        """Run tasks until the worker process says that it is enough; return the exit code.

        Args:
            app: the loaded app.
            entered: called when its lifespan has been entered.
        """
        self.writer.max_frame = app.settings.max_message_size + FRAME_OVERHEAD
        if self._after_main_run is not None:
            self._loops.start_thread()
        try:
            lifespan = EnteredLifespan(app.open_lifespan(), self._loops, self._lifespan_ended)
            state = lifespan.enter()
        except BaseException as error:
            self.writer.send((("lifespan-error", user_traceback(error)),))
            return EXIT_LIFESPAN_ERROR
        entered()
        runner = app.runner(state, stopping=self._stopping, progress=self._progress)
        serving = self._serve(runner, lifespan.context)
        if self._after_main_run is None:
            self._loops.run(serving)
        else:
            self._run_in_main_thread(serving)
        try:
            lifespan.leave()
        except BaseException as error:
            text = f"the end of the lifespan failed:\n{user_traceback(error)}"
            self.writer.send((("warning", text),))
        return 0

    async def _serve(self, runner: Any, context: Context) -> None:
        """Run tasks until both inboxes have ended and what was started is reported."""
        # Events, for an end may be told more than once.
        threads_ended, loop_ended = asyncio.Event(), asyncio.Event()
        threads = self._task_threads = TaskThreads(
            self._assignment.threads,
            runner=runner,
            context=context,
            inbox=self._thread_inbox,
            writer=self.writer,
            marks=self._marks,
            ended=lambda: self._in_loop(threads_ended.set),
            keep=runner.keep,
            after_main_run=self._after_main_run,
        )
        task_loop = self._task_loop = TaskLoop(
            self._assignment.async_tasks,
            self._assignment.threads,
            runner=runner,
            context=context,
            inbox=self._async_inbox,
            writer=self.writer,
            marks=self._marks,
            ended=loop_ended.set,
            keep=runner.keep,
        )
        threads.start()
        task_loop.start()
        self._started.set()
        self.writer.send((("ready", os.getpid()),))
        both = asyncio.gather(threads_ended.wait(), loop_ended.wait())
        abandoned = asyncio.ensure_future(self._abandoned.wait())
        await asyncio.wait((both, abandoned), return_when=asyncio.FIRST_COMPLETED)
        both.cancel()
        abandoned.cancel()
        await asyncio.to_thread(runner.close)

    def _run_in_main_thread(self, serving: Coroutine[Any, Any, None]) -> None:
        """Run sync tasks here while the thread of the event loop does all the rest."""
        served = self._loops.submit(serving)
        served.add_done_callback(self._served)
        self._started.wait()
        assert self._task_threads is not None
        self._task_threads.run_in_main_thread()
        served.result()

    def _served(self, served: Future[None]) -> None:
        """In the loop's thread: nobody would wake the main thread if serving itself has failed."""
        if (error := served.exception()) is not None:
            traceback.print_exception(error)
            self._on_broken_socket()

    def _escaped(self, error: BaseException) -> None:
        """See `LoopRunner`; in the loop's thread."""
        if self._task_loop is None or not self._task_loop.escaped(error):
            text = f"the event loop goes on after this:\n{user_traceback(error)}"
            self.writer.send((("warning", text),))

    def _lifespan_ended(self, error: BaseException | None) -> None:
        """See `EnteredLifespan`; the executor goes on, for its tasks may not need what broke."""
        why = "" if error is None else f":\n{user_traceback(error)}"
        text = f"the lifespan ended before the worker did{why}"
        self.writer.send((("warning", text),))

    async def _cancel_left(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def cancel_left(self) -> None:
        """Cancel what still runs on the event loop, when nothing is served any more."""
        self._loops.run(self._cancel_left())
        self._loops.stop()

    def close(self, timeout: float) -> None:
        """Close the sockets after the run, when the worker process has closed its ends.

        Args:
            timeout: seconds to wait for the worker process.
        """
        self._listener.join(timeout)
        self._control.close()
        self._thread_inbox.close_socket()
        self._async_inbox.close_socket()

    def stopping(self) -> None:
        """See `ControlHooks.stopping`."""
        self._stopping.set()

    def cancel(self, number: int, why: str) -> None:
        """See `ControlHooks.cancel`."""
        if task_loop := self._task_loop:
            self._in_loop(task_loop.cancel, number, why)

    def cancel_async(self) -> None:
        """See `ControlHooks.cancel_async`."""
        if task_loop := self._task_loop:
            self._in_loop(task_loop.cancel_all, "the worker shuts down")

    def stack(self, number: int) -> str:
        """See `ControlHooks.stack`."""
        slot = self._marks.slot(number)
        if slot is not None and slot < self._assignment.threads and self._task_threads:
            return thread_stack(self._task_threads.ident(slot))
        task = self._task_loop.task(number) if self._task_loop else None
        if task is None:
            return "it does not run now"
        return coroutine_stack(task, self._loops.thread_id)

    def inbox_ended(self) -> None:
        """See `ControlHooks.inbox_ended`."""
        if task_loop := self._task_loop:
            self._in_loop(task_loop.check_end)

    def worker_ended(self) -> None:
        """See `ControlHooks.worker_ended`."""
        self._on_worker_end()

    def close_after_fork(self) -> None:
        """In a child that a task has forked: hold nothing that tells the worker of our end."""
        if not self.writer.disowned:
            self.writer.close_after_fork()
            self._thread_inbox.close_after_fork()
            self._async_inbox.close_after_fork()

    def _abandon(self) -> None:
        """Serve no longer, whatever still runs; in the control thread."""
        self.cancel_async()
        self._in_loop(self._abandoned.set)

    def _in_loop(self, function: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: too late to matter
            self._loop.call_soon_threadsafe(function, *arguments)

    def _progress(self, number: int, current: float, total: float | None) -> None:
        whole = None if total is None else float(total)
        self.writer.send((("progress", number, float(current), whole),))

    def _give_back(self, numbers: list[int]) -> None:
        self.writer.send((("back", numbers),))
