"""The template process: imports the app once, and forks executors from it.

``python -m rmqwork._executor.template FD APP PARENT [--no-preload]``, started by
`rmqwork._worker.starting`. FD is its socket to the worker process, whose id is PARENT; APP is
``module:attribute``.

It is one synchronous loop without threads: a fork copies only the calling thread, and a lock that
another thread holds at that moment stays locked in the child for ever. (So not `multiprocessing`'s
forkserver, whose children outlive a killed parent and which swallows import errors.)

Each executor leads a process group of its own. When one dies by a signal or with an exit code, its
group is killed after it, so that pool workers of a task do not wait for a dead parent for ever.
When the worker process dies, all groups are.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # what is imported stays; each executor turns it on again

import importlib
import os
import select
import signal
import socket
import sys
import warnings
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from rmqwork._executor import app_logging, fork_sockets
from rmqwork._executor.loading import load_app, manifest_by_child, manifest_message
from rmqwork._executor.process import run_executor
from rmqwork._executor.process_setup import (
    adopt_orphans,
    buffer_lines,
    die_with_parent,
    native_threads,
    other_python_threads,
)
from rmqwork._executor.runtime import Assignment
from rmqwork._tasks.loading import AppNotLoaded
from rmqwork._worker.ipc.wire import READ_SIZE, Message, Unpacker, pack

EXIT_IMPORT_ERROR: Final = 2
FDS_OF_A_FORK: Final = 4
"""Control, thread deliveries, async deliveries, start marks."""
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes or KiB


@dataclass(slots=True)
class _Order:
    """What is to be forked: the message, and the descriptors that came with it."""

    executor_id: int
    threads: int
    async_tasks: int
    isolated: bool
    fds: list[int]


class TemplateProcess:
    """The loop of the template.

    Args:
        sock: to the worker process.
        app: the loaded app, or its path (then each executor imports it for itself).
        parent: the worker process's id.
        event_loop: of coroutine tasks.
    """

    def __init__(self, sock: socket.socket, app: Any, parent: int, event_loop: str) -> None:
        self._sock = sock
        self._app = app
        self._parent = parent
        self._event_loop = event_loop
        self._unpacker = Unpacker()
        self._fds: deque[int] = deque()
        self._executors: dict[int, int] = {}  # executor id of each living process id
        self._whole_groups: set[int] = set()  # executors whose group ends with them in any case
        self._serving = True
        self._told_native = False
        self._wakeup, self._wakeup_end = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_end, False)

    def run(self) -> None:
        """Serve until the worker process says stop, or is gone."""
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _noted)
        adopt_orphans()
        # From here on its death is an event of this loop, which takes the executors along.
        die_with_parent(signal.SIGTERM, self._parent)
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        poller.register(self._wakeup, select.POLLIN)
        while self._serving and os.getppid() == self._parent:
            ready = [fd for fd, _ in poller.poll()]
            if self._wakeup in ready:
                with suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)
                self._reap()
            self._take_orders()
        self._end_executors()

    def _take_orders(self) -> None:
        """Read what the worker process has sent so far."""
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        while self._serving and waiting.poll(0):
            self._serving = self._receive()

    def _receive(self) -> bool:
        """Read once and do what is asked; False when it is time to leave."""
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, READ_SIZE, 64, flags)
        except OSError:
            return False
        if not data:
            return False
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds.extend(fds)
        for message in self._unpacker.feed(data):
            match message:
                case ("fork", executor_id, threads, async_tasks, isolated):
                    own = [self._fds.popleft() for _ in range(FDS_OF_A_FORK)]
                    self._fork(_Order(executor_id, threads, async_tasks, isolated, own))
                case ("kill", executor_id, number):
                    self._kill(executor_id, number)
                case ("whole-group", executor_id):
                    self._whole_groups.add(executor_id)
                case ("stop",):
                    return False
        return True

    def _tell(self, message: Message) -> None:
        with suppress(OSError):  # the worker process is gone; the loop is about to notice
            self._sock.sendall(pack([message]))

    def _fork(self, order: _Order) -> None:
        try:
            pid = self._try_fork(order)
        except (OSError, _CannotFork) as error:
            self._tell(("cannot-fork", order.executor_id, str(error)))
        else:
            with suppress(OSError):  # the child does it, too: whoever comes first
                os.setpgid(pid, pid)
            self._executors[pid] = order.executor_id
            self._tell(("forked", order.executor_id, pid))
        finally:
            for fd in order.fds:
                os.close(fd)

    def _try_fork(self, order: _Order) -> int:
        if names := other_python_threads():
            raise _CannotFork(
                f"importing the app has started threads ({', '.join(sorted(names))}), and a process"
                " with threads cannot be forked safely: start them in the lifespan, or use"
                " --no-preload"
            )
        if not self._told_native and (names := native_threads()):
            # Libraries like OpenBLAS have threads of their own and mind forks: no reason to refuse.
            self._told_native = True
            self._tell(
                ("warning", f"the app's import has started native threads ({', '.join(names)})")
            )
        _flush()  # or each executor would write again what the import has printed
        gc.freeze()
        parent = os.getpid()
        with warnings.catch_warnings():
            # Python 3.12 and later warn about native threads; those are told above.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            self._become_executor(order, parent)
        return pid

    def _become_executor(self, order: _Order, parent: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            os.close(self._wakeup)
            os.close(self._wakeup_end)
            os.close(self._sock.detach())
            for fd in self._fds:
                os.close(fd)
            run_executor(
                self._app,
                Assignment(
                    order.threads,
                    order.async_tasks,
                    tuple(order.fds),
                    self._event_loop,
                    order.isolated,
                ),
                parent,
            )
        finally:
            os._exit(70)  # not reached: run_executor ends the process

    def _kill(self, executor_id: int, number: int) -> None:
        for pid, living in self._executors.items():
            if living == executor_id:
                os.kill(pid, number)  # not reaped yet, so the number is still its own

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            executor_id = self._executors.pop(pid, None)
            if executor_id is None:
                continue
            # What was ordered before its end may not have been read yet.
            self._take_orders()
            if status or executor_id in self._whole_groups:
                _kill_group(pid)
            self._whole_groups.discard(executor_id)
            self._tell_death(executor_id, pid, status, usage.ru_maxrss)

    def _tell_death(self, executor_id: int, pid: int, status: int, max_rss: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        exit_code, signal_number = (code, None) if code >= 0 else (None, -code)
        peak = max_rss * _MAXRSS_UNIT
        self._tell(("died", executor_id, pid, exit_code, signal_number, peak))

    def _end_executors(self) -> None:
        for pid in self._executors:
            _kill_group(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # its group may not be made yet
        while self._executors:
            pid, status, usage = os.wait4(-1, 0)
            executor_id = self._executors.pop(pid, None)
            if executor_id is not None:
                self._tell_death(executor_id, pid, status, usage.ru_maxrss)


class _CannotFork(Exception):
    """There are threads."""


def _noted(number: int, frame: object) -> None:
    """A signal handler that does nothing: the wakeup descriptor has the news."""


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # None, closed, or nobody reads it
            stream.flush()


def main() -> int:
    """Import the app, say so, and serve."""
    fd, path, parent, *flags = sys.argv[1:]
    die_with_parent(signal.SIGKILL, int(parent))
    sock = socket.socket(fileno=int(fd))
    sock.set_inheritable(False)
    if level := os.environ.get("RMQWORK_LOG_LEVEL"):  # as the worker process logs
        app_logging.configure(os.environ.get("RMQWORK_LOG_FORMAT"), level)
    buffer_lines()
    before = fork_sockets.open_sockets()
    connected: list[fork_sockets.ConnectedSocket] = []
    app: Any = path
    try:
        if "--no-preload" in flags:
            message = manifest_by_child(path)
        else:
            app = load_app(path)
            message = manifest_message(app)
            connected = fork_sockets.connected_since(before)
    except AppNotLoaded as error:
        sock.sendall(pack([("import-error", error.report)]))
        return EXIT_IMPORT_ERROR
    if message[0] == "manifest" and (text := fork_sockets.refusal(path, connected)):
        sock.sendall(pack([("import-error", text)]))
        return EXIT_IMPORT_ERROR
    sock.sendall(pack([message]))
    if message[0] != "manifest":
        return EXIT_IMPORT_ERROR
    if app is not path:  # once, and not in each executor; the worker process connects meanwhile
        importlib.import_module("rmqwork._tasks.execution")
    if text := fork_sockets.warning(connected):
        sock.sendall(pack([("warning", text)]))
    event_loop = message[1]["settings"]["event_loop"]
    TemplateProcess(sock, app, int(parent), event_loop).run()
    return 0


if __name__ == "__main__":
    # Not sys.exit: what the app has registered to run at exit is the executors' to run.
    code = main()
    _flush()
    os._exit(code)
