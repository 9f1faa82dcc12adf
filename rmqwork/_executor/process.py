"""The executor process: from the fork in the template to its last exit."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from rmqwork._executor.control import ControlThread
from rmqwork._executor.control_writer import ControlWriter
from rmqwork._executor.inbox import Inbox
from rmqwork._executor.loading import load_app
from rmqwork._executor.loop import TaskLoop
from rmqwork._executor.pipe_publisher import PipePublisher
from rmqwork._executor.process_setup import be_killed_first, die_with_parent
from rmqwork._executor.stacks import coroutine_stack, thread_stack
from rmqwork._executor.threads import TaskThreads
from rmqwork._tasks.evidence import user_traceback
from rmqwork._tasks.loading import AppNotLoaded
from rmqwork._worker.ipc.crash_log import LastLines
from rmqwork._worker.ipc.start_marks import Marks, size

EXIT_IMPORT_ERROR: Final = 2
EXIT_LIFESPAN_ERROR: Final = 3
EXIT_BROKEN: Final = 70
"""The executor's own main failed; the traceback is on stderr."""
EXIT_PATIENCE: Final = 5.0
"""Seconds that threads and children which tasks have left behind get at an orderly exit."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an executor is to be.

    Args:
        threads: how many tasks run at once in threads.
        async_tasks: how many run at once on the event loop.
        fds: control, thread deliveries, async deliveries, start marks.
        event_loop: of coroutine tasks: ``asyncio`` or ``uvloop``.
    """

    threads: int
    async_tasks: int
    fds: tuple[int, ...]
    event_loop: str


def run_executor(app: Any, assignment: Assignment, parent: int) -> NoReturn:
    """Be an executor; called in the child, right after the fork.

    Args:
        app: the loaded app, or its path, which is then imported here.
        assignment: what to be.
        parent: the template's process id.
    """
    code = EXIT_BROKEN
    try:
        _settle_in(parent)
        code = ExecutorProcess(assignment).run(app)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _settle_in(parent: int) -> None:
    """Signals, parent, process group, garbage collection, random numbers."""
    with suppress(OSError):
        os.setpgid(0, 0)
    die_with_parent(signal.SIGKILL, parent)
    be_killed_first()
    # SIGTERM to a whole control group (systemd) or session is the worker process's to answer.
    # A handler and not SIG_IGN, which what we execute would inherit.
    signal.signal(signal.SIGTERM, _left_to_the_worker)
    signal.signal(signal.SIGINT, _left_to_the_worker)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.register_at_fork(
        before=_hold_signals, after_in_parent=_release_signals, after_in_child=_default_signals
    )
    gc.enable()
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()  # `random` reseeds itself after a fork


def _left_to_the_worker(number: int, frame: object) -> None:
    """Ignore a signal."""


_OURS: Final = {signal.SIGTERM, signal.SIGINT}
_forking = threading.local()


def _hold_signals() -> None:
    """Before a task forks: what its child is sent in its first moments has to wait."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _default_signals() -> None:
    """In a child that a task forks: `multiprocessing` ends its children by SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _release_signals()


def _new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind != "uvloop":
        return asyncio.new_event_loop()
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class ExecutorProcess:
    """All that an executor holds."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        control, threads, tasks, marks = assignment.fds
        self._control = socket.socket(fileno=control)
        self._control.setblocking(True)
        thread_socket, async_socket = socket.socket(fileno=threads), socket.socket(fileno=tasks)
        thread_socket.setblocking(True)
        async_socket.setblocking(False)
        self._outlet = ControlWriter(self._control)
        self._thread_inbox = Inbox(thread_socket, self._give_back)
        self._async_inbox = Inbox(async_socket, self._give_back)
        slots = assignment.threads + assignment.async_tasks
        self._marks = Marks(marks, slots)
        self._last_lines = LastLines(marks, size(slots))
        os.close(marks)
        self._publisher = PipePublisher(self._outlet)
        self._stopping = threading.Event()
        self._loop = _new_loop(assignment.event_loop)
        self._task_loop: TaskLoop | None = None
        self._task_threads: TaskThreads | None = None
        os.register_at_fork(after_in_child=self._disown)

    def run(self, app: Any) -> int:
        """Run tasks until the worker process says that it is enough; returns the exit code."""
        asyncio.set_event_loop(self._loop)
        ControlThread(
            self._control,
            outlet=self._outlet,
            inboxes=(self._thread_inbox, self._async_inbox),
            publisher=self._publisher,
            hooks=self,
        ).start()
        if isinstance(app, str):
            try:
                app = load_app(app)
            except AppNotLoaded as error:
                self._outlet.send((("import-error", error.report),))
                return EXIT_IMPORT_ERROR
        app.use_publisher(self._publisher)
        self._last_lines.install()
        lifespan = EnteredLifespan(app.open_lifespan(), self._loop)
        try:
            state = lifespan.enter()
        except BaseException as error:
            self._outlet.send((("lifespan-error", user_traceback(error)),))
            return EXIT_LIFESPAN_ERROR
        self._last_lines.install()  # once more: logging is often set up in there
        self._loop.run_until_complete(self._serve(app, state))
        try:
            lifespan.leave()
        except BaseException as error:
            text = f"the end of the lifespan failed:\n{user_traceback(error)}"
            self._outlet.send((("warning", text),))
        self._wind_up()
        return 0

    async def _serve(self, app: Any, state: object) -> None:
        """Run tasks until both inboxes have ended and what was started is reported."""
        threads_ended, loop_ended = asyncio.Event(), asyncio.Event()
        runner = app.runner(state, stopping=self._stopping, progress=self._progress)
        threads = self._task_threads = TaskThreads(
            self._assignment.threads,
            runner=runner,
            inbox=self._thread_inbox,
            outlet=self._outlet,
            marks=self._marks,
            ended=lambda: self._in_loop(threads_ended.set),
            keep=runner.keep,
        )
        task_loop = self._task_loop = TaskLoop(
            self._assignment.async_tasks,
            self._assignment.threads,
            runner=runner,
            inbox=self._async_inbox,
            outlet=self._outlet,
            marks=self._marks,
            ended=loop_ended.set,
            keep=runner.keep,
        )
        threads.start()
        task_loop.start()
        self._outlet.send((("ready", os.getpid()),))
        await threads_ended.wait()
        await loop_ended.wait()

    def _wind_up(self) -> None:
        """End as an interpreter does (threads joined, `atexit` run), but not for ever."""
        timer = threading.Timer(EXIT_PATIENCE, _leave_the_rest)
        timer.daemon = True
        timer.start()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
        with suppress(BaseException):
            atexit._run_exitfuncs()

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
        return coroutine_stack(task, threading.main_thread().ident)

    def inbox_ended(self) -> None:
        """See `ControlHooks.inbox_ended`."""
        if task_loop := self._task_loop:
            self._in_loop(task_loop.check_end)

    def _in_loop(self, function: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: too late to matter
            self._loop.call_soon_threadsafe(function, *arguments)

    def _progress(self, number: int, current: float, total: float | None) -> None:
        whole = None if total is None else float(total)
        self._outlet.send((("progress", number, float(current), whole),))

    def _give_back(self, numbers: list[int]) -> None:
        self._outlet.send((("back", numbers),))

    def _disown(self) -> None:
        """In a child that a task has forked: it must not hold what tells the worker of our end."""
        if not self._outlet.disowned:
            self._outlet.close_after_fork()
            self._last_lines.close_after_fork()
            self._thread_inbox.close_after_fork()
            self._async_inbox.close_after_fork()


class EnteredLifespan:
    """The app's lifespan in this process: a sync or an async context manager, or none.

    Args:
        manager: from ``app.lifespan``.
        loop: where an async one runs.
    """

    def __init__(
        self,
        manager: AbstractContextManager[object] | AbstractAsyncContextManager[object] | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._manager = manager
        self._loop = loop

    def enter(self) -> object:
        """Begin; returns the state for ``ctx.state``."""
        match self._manager:
            case None:
                return None
            case AbstractContextManager() as manager:
                return manager.__enter__()
            case manager:
                return self._loop.run_until_complete(_enter(manager))

    def leave(self) -> None:
        """End."""
        match self._manager:
            case None:
                return
            case AbstractContextManager() as manager:
                manager.__exit__(None, None, None)
            case manager:
                self._loop.run_until_complete(_leave(manager))


async def _enter(manager: AbstractAsyncContextManager[object]) -> object:
    return await manager.__aenter__()


async def _leave(manager: AbstractAsyncContextManager[object]) -> None:
    await manager.__aexit__(None, None, None)


def _leave_the_rest() -> None:
    print(
        f"rmqwork: an executor left {EXIT_PATIENCE:g} s after its last task, with threads or"
        " children of tasks still running",
        file=sys.stderr,
    )
    with suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)
