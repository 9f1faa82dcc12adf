"""Executors that are threads of this process: the real ones, over the same sockets.

What threads cannot do: survive ``os._exit``, be killed in truth, import the app afresh.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rmqwork._executor.runtime import EXIT_LIFESPAN_ERROR, Assignment, ExecutorRuntime
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.processes.executor import Executor

if TYPE_CHECKING:
    from rmqwork._tasks.app import App
    from rmqwork._worker.processes.template import PoolEvents

_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that the worker's loop gets to close its ends of the sockets."""


class InProcessTemplate:
    """Has the interface of `Template`, for an app that is imported already.

    Args:
        app: whose tasks are to run.
    """

    alive = True

    def __init__(self, app: App) -> None:
        self._app = app
        self._next_id = 1
        self.pid = os.getpid()
        self.events: PoolEvents
        self.executors: dict[int, Executor] = {}

    async def manifest(self) -> dict[str, Any]:
        """Return what the app has."""
        return self._app.manifest()

    def fork(self, threads: int, async_tasks: int, *, isolated: bool = False) -> Executor:
        """Start an executor in a thread of its own, which is no main thread."""
        executor = Executor(self._next_id, threads, async_tasks, self.events, self.kill)
        self._next_id += 1
        self.executors[executor.id] = executor
        _ExecutorThread(self, executor, self._app).start()
        return executor

    def kill(self, executor_id: int, number: int = signal.SIGKILL) -> None:
        """Behave as if a signal had ended an executor; what its threads still do is ignored."""
        death = Death(self.pid, None, int(number))
        asyncio.get_running_loop().call_soon(self.bury, executor_id, death)

    def kill_with_children(self, executor_id: int) -> None:
        """Do nothing: the children of tasks are those of the test's process."""

    def entered(self, executor_id: int) -> None:
        """Give an executor its process id: from now on it has started."""
        if (executor := self.executors.get(executor_id)) is not None:
            executor.pid = self.pid

    def bury(self, executor_id: int, death: Death) -> None:
        """Take the news of an executor's death."""
        if (executor := self.executors.pop(executor_id, None)) is not None:
            executor.died(death)

    async def close(self, timeout: float = 5.0) -> None:
        """End the executors that are left, without patience."""
        for executor_id in list(self.executors):
            self.bury(executor_id, Death(self.pid, None, int(signal.SIGKILL)))


class _ExecutorThread(threading.Thread):
    """The main thread of an executor in this process: its lifespan and its event loop.

    Args:
        template: which is told of its end, in the worker's loop.
        executor: the worker's side of it, whose descriptors it takes.
        app: whose tasks are to run.
    """

    def __init__(self, template: InProcessTemplate, executor: Executor, app: App) -> None:
        super().__init__(name=f"rmqwork-executor-{executor.id}", daemon=True)
        self._template = template
        self._executor_id = executor.id
        self._app = app
        self._worker_loop = asyncio.get_running_loop()
        self._assignment = Assignment(
            executor.threads, executor.async_tasks, tuple(executor.take_fds()), "asyncio"
        )

    def run(self) -> None:
        """Run tasks until the worker says that it is enough, or behaves as if this were dead."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        runtime = ExecutorRuntime(self._assignment, loop, on_broken_socket=_ignore)
        os.close(self._assignment.fds[3])  # the start marks, which are mapped now
        runtime.listen()
        code = runtime.run(self._app, self._entered)
        runtime.cancel_left()
        with suppress(RuntimeError):  # the worker has gone
            # Without a process id it counts as never started, which ends the test worker.
            death = Death() if code == EXIT_LIFESPAN_ERROR else Death(os.getpid(), code)
            self._worker_loop.call_soon_threadsafe(self._template.bury, self._executor_id, death)
        runtime.close(_CLOSE_TIMEOUT)
        loop.close()

    def _entered(self) -> None:
        with suppress(RuntimeError):  # the worker has gone
            self._worker_loop.call_soon_threadsafe(self._template.entered, self._executor_id)


def _ignore() -> None:
    """Let a broken socket be: the worker counts this executor as dead."""
