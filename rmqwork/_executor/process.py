"""The executor process: from the fork in the template to its last exit."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any, Final, NoReturn

from rmqwork._executor import app_logging
from rmqwork._executor.loading import load_app
from rmqwork._executor.main_thread import MainThreadSignals
from rmqwork._executor.process_setup import be_killed_first, die_with_parent
from rmqwork._executor.runtime import Assignment, ExecutorRuntime
from rmqwork._tasks.loading import AppNotLoaded
from rmqwork._worker.ipc.crash_log import LastLines
from rmqwork._worker.ipc.start_marks import size

EXIT_IMPORT_ERROR: Final = 2
EXIT_BROKEN: Final = 70
"""The executor's own main failed; the traceback is on stderr."""
EXIT_WORKER_GONE: Final = 71
"""The worker process can no longer be reached."""
EXIT_PATIENCE: Final = 5.0
"""Seconds that threads and children which tasks have left behind get at an orderly exit."""


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
    """An executor with a process of its own: fork, crash log, signals, and the last exit."""

    def __init__(self, assignment: Assignment) -> None:
        marks = assignment.fds[3]
        self._last_lines = LastLines(marks, size(assignment.threads + assignment.async_tasks))
        loop = _new_loop(assignment.event_loop)
        if not assignment.uses_main_thread:
            asyncio.set_event_loop(loop)
        self._signals = MainThreadSignals()
        self._runtime = ExecutorRuntime(
            assignment,
            loop,
            on_broken_socket=_leave,
            on_worker_end=_leave_with_children,
            after_main_run=self._signals.restore,
        )
        os.close(marks)
        os.register_at_fork(after_in_child=self._disown)

    def run(self, app: Any) -> int:
        """Run tasks until the worker process says that it is enough; returns the exit code."""
        runtime = self._runtime
        runtime.listen()
        if isinstance(app, str):
            try:
                app = load_app(app)
            except AppNotLoaded as error:
                runtime.writer.send((("import-error", error.report),))
                return EXIT_IMPORT_ERROR
        app.use_publisher(runtime.publisher)
        self._last_lines.install()
        # Once more when the lifespan is entered: logging is often set up in there.
        code = runtime.run(app, entered=self._entered)
        if code == 0:
            self._wind_up()
        return code

    def _entered(self) -> None:
        self._last_lines.install()
        self._signals.note()
        app_logging.enable_ours()

    def _wind_up(self) -> None:
        """End as an interpreter does (threads joined, `atexit` run), but not for ever."""
        timer = threading.Timer(EXIT_PATIENCE, _leave_the_rest)
        timer.daemon = True
        timer.start()
        self._runtime.cancel_left()
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
        with suppress(BaseException):
            atexit._run_exitfuncs()

    def _disown(self) -> None:
        """In a child that a task has forked: it must not hold what tells the worker of our end."""
        if not self._runtime.writer.disowned:
            self._last_lines.close_after_fork()
            self._runtime.close_after_fork()


def _leave() -> NoReturn:
    """Exit at once: the worker process died, or a task has closed our descriptors."""
    os._exit(EXIT_WORKER_GONE)


def _leave_with_children() -> NoReturn:
    """Exit with all that tasks have started: nobody is there to take an outcome."""
    if os.getpgrp() == os.getpid():
        with suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(EXIT_WORKER_GONE)


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
