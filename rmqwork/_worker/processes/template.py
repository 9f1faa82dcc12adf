"""The worker process's side of its processes: the template and the executors.

    template = Template(start_template("shop.app:app", True, None), events)
    manifest = await template.manifest()
    executor = template.fork(threads=8, async_tasks=500)
    # events.on_ready(executor)
    executor.send_threads([("d", 1, "low", "shop.add", b'{"x":1,"y":2}', 1, False, "id", None,
                            "application/json", None)])
    # events.on_messages(executor, [("o", 1, "s", 0.0001, None)])
    executor.exit()
    # events.on_death(executor, Death(exit_code=0, …))
    await template.close()

Everything here is called in one asyncio loop, and its events come in the same; no user code runs in
this process. `docs/explanation/architecture.md` has the protocol.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any, Final, Protocol

from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.reports import DEFAULT_MAX_FRAME, FRAME_OVERHEAD
from rmqwork._worker.ipc.wire import Message
from rmqwork._worker.processes.executor import Executor, ExecutorEvents
from rmqwork._worker.processes.launch import Started
from rmqwork._worker.processes.pipe import Pipe
from rmqwork.errors import ConfigurationError

_KILLED_WITH_TEMPLATE: Final = 1.0
"""Seconds that an executor whose template died may take to vanish (the kernel kills it)."""


class TemplateKilled(ConfigurationError):
    """A signal ended the template while it imported the app; another one may come through."""


class PoolEvents(ExecutorEvents, Protocol):
    """What the worker is told of its processes."""

    def on_template_death(self, template: Template, text: str) -> None:
        """The template has died unasked; the deaths of its executors follow.

        Args:
            template: which; it forks no more, start another one.
            text: how it ended, for people.
        """

    def on_warning(self, text: str) -> None:
        """Something that people should know, and that stops nothing."""


class Template:
    """The template process.

    Args:
        started: the process; see `rmqwork._worker.processes.launch.start_template`.
        events: is told what happens.
    """

    def __init__(self, started: Started, events: PoolEvents) -> None:
        self._app = started.app
        self._events = events
        self._process, self._sock = started.process, started.sock
        self._pipe: Pipe | None = None
        self._manifest: asyncio.Future[dict[str, Any]] | None = None
        self._ended = asyncio.Event()
        self._all_buried = asyncio.Event()
        self._next_id = 1
        self._max_frame = DEFAULT_MAX_FRAME
        self._closing = False
        self.executors: dict[int, Executor] = {}
        """All that live or are about to, by their id."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return not self._ended.is_set()

    async def manifest(self) -> dict[str, Any]:
        """What the app has; waits until it is imported. To be called before `fork`.

        Raises:
            TemplateKilled: a signal ended the template meanwhile.
            ConfigurationError: the app cannot be imported; with the user's traceback.
        """
        if self._manifest is None:
            self._manifest = asyncio.get_running_loop().create_future()
            self._pipe = Pipe(self._sock, self._receive, self._template_ended)
        return await asyncio.shield(self._manifest)

    def fork(self, threads: int, async_tasks: int, *, isolated: bool = False) -> Executor:
        """Start an executor; `PoolEvents.on_ready` or `on_death` follows.

        Args:
            threads: how many tasks run at once in threads.
            async_tasks: how many run at once on its event loop.
            isolated: whether it is for deliveries that run alone.
        """
        if self._pipe is None:
            raise RuntimeError("await Template.manifest() first")
        executor = Executor(
            self._next_id, threads, async_tasks, self._events, self.kill, self._max_frame
        )
        self._next_id += 1
        self.executors[executor.id] = executor
        order: Message = ("fork", executor.id, threads, async_tasks, isolated)
        self._pipe.send([order], executor.take_fds())
        if not self.alive:
            asyncio.get_running_loop().call_soon(
                self._bury, executor, Death(error="the template process is dead")
            )
        return executor

    def kill(self, executor_id: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to an executor if it lives."""
        if self._pipe is not None:
            self._pipe.send([("kill", executor_id, int(number))])

    def kill_with_children(self, executor_id: int) -> None:
        """Kill an executor's process group when it ends, also when it ends well."""
        if self._pipe is not None:
            self._pipe.send([("whole-group", executor_id)])

    async def close(self, timeout: float = 5.0) -> None:
        """End the template, and kill the executors that are left.

        Their deaths are reported; `on_template_death` is not.

        Args:
            timeout: seconds until the template is killed, too.
        """
        self._closing = True
        if self._pipe is None:
            self._process.kill()
            self._process.wait()
            self._sock.close()
            return
        self._pipe.send([("stop",)])
        try:
            await asyncio.wait_for(self._ended.wait(), timeout)
        except TimeoutError:
            self._process.kill()
            await self._ended.wait()
        await self._all_buried.wait()
        if self._manifest is not None and not self._manifest.done():
            self._manifest.set_exception(ConfigurationError("the worker ends"))
            self._manifest.exception()

    def _receive(self, messages: list[Message]) -> None:
        for message in messages:
            match message:
                case ("manifest", manifest):
                    self._max_frame = manifest["settings"]["max_message_size"] + FRAME_OVERHEAD
                    self._resolve(manifest)
                case ("import-error", text):
                    self._resolve(ConfigurationError(text))
                case ("forked", executor_id, pid):
                    self.executors[executor_id].pid = pid
                case ("cannot-fork", executor_id, text):
                    self._bury(self.executors[executor_id], Death(error=text))
                case ("died", executor_id, pid, exit_code, signal_number, peak_memory):
                    self._bury(
                        self.executors[executor_id],
                        Death(pid, exit_code, signal_number, peak_memory),
                    )
                case ("warning", text):
                    self._events.on_warning(text)

    def _resolve(self, value: dict[str, Any] | ConfigurationError) -> None:
        if self._manifest is None or self._manifest.done():
            return
        if isinstance(value, ConfigurationError):
            self._manifest.set_exception(value)
        else:
            self._manifest.set_result(value)

    def _bury(self, executor: Executor, death: Death) -> None:
        if self.executors.pop(executor.id, None) is not None:
            executor.died(death)
        if not self.executors and not self.alive:
            self._all_buried.set()

    def _template_ended(self) -> None:
        """Its socket has ended: it is dead, or will be in a moment."""
        code = self._process.poll()
        if code is None:
            asyncio.get_running_loop().call_later(0.005, self._template_ended)
            return
        self._ended.set()
        if self._pipe is not None:
            self._pipe.close()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"the template process ended by {how}"
        error = TemplateKilled if code < 0 else ConfigurationError
        self._resolve(error(f"cannot import {self._app!r}: {text}"))
        # Whoever waits for the manifest has had the news as an exception.
        failed = self._manifest is not None and self._manifest.exception() is not None
        if not self._closing and not failed:
            self._events.on_template_death(self, text)
        for executor in list(self.executors.values()):
            self._outlived(executor)
        if not self.executors:
            self._all_buried.set()

    def _outlived(self, executor: Executor) -> None:
        """The kernel kills an executor with its template; its group is ours to kill."""
        if executor.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(executor.pid, signal.SIGKILL)
        death = Death(executor.pid, None, signal.SIGKILL, 0)
        executor.when_ended(lambda: self._bury(executor, death))
        asyncio.get_running_loop().call_later(_KILLED_WITH_TEMPLATE, self._bury, executor, death)
