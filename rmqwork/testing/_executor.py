"""An executor in this process: threads in place of the processes of a worker.

The worker's own code (dispatch, settlement, retries, shutdown) does not know the difference. What
threads cannot do: survive ``os._exit``, be killed in truth, import the app afresh.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import contains
from typing import TYPE_CHECKING, Any, cast

from rmqwork._executor.ports import Keep, Runner, broken
from rmqwork._executor.process import EnteredLifespan
from rmqwork._executor.threads import TaskThreads
from rmqwork._tasks.evidence import user_traceback
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.wire import Message, outcome_message
from rmqwork._worker.processes.executor import State
from rmqwork.types import Failure, Outcome

if TYPE_CHECKING:
    from rmqwork._tasks.app import App
    from rmqwork._worker.processes.executor import Executor
    from rmqwork._worker.processes.template import PoolEvents

_NUMBER = 1


class _Inbox:
    """Deliveries that have come and are not started; for `TaskThreads` and the task loop."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, batch: Sequence[Message]) -> bool:
        """Add deliveries; false when no more are taken."""
        with self._changed:
            if not self._closed:
                self._waiting.extend(batch)
                self._changed.notify_all()
            return not self._closed

    def take(self) -> Message | None:
        """The next one; blocks until there is one. None when no more come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return self._waiting.popleft() if self._waiting else None

    def pop(self) -> Message | None:
        """The next one if there is one."""
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def withdraw(self, numbers: Collection[int] | None) -> list[int]:
        """Take back these, or all; returns the numbers of those that were not started."""
        with self._changed:
            back = [m for m in self._waiting if numbers is None or m[_NUMBER] in numbers]
            for message in back:
                self._waiting.remove(message)
            return [message[_NUMBER] for message in back]

    def close(self) -> list[int]:
        """Take no more, and take back what was not started."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        return self.withdraw(None)


class _Starts:
    """Start marks, as a table."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[int, float]] = {}

    def start(self, slot: int, number: int) -> None:
        """A task starts."""
        self._slots[slot] = (number, time.monotonic())

    def clear(self, slot: int) -> None:
        """It has been reported."""
        self._slots.pop(slot, None)

    def read(self) -> dict[int, float]:
        """What runs, and since when."""
        return dict(list(self._slots.values()))


class InProcessExecutor:
    """Has the interface of `rmqwork._worker.processes.executor.Executor`.

    Its methods are called in the worker's loop, and its events come there. Tasks run in threads,
    coroutine tasks and the lifespan on an event loop in a thread of their own.
    """

    def __init__(
        self,
        app: App,
        executor_id: int,
        slots: tuple[int, int],
        events: PoolEvents,
        buried: Callable[[InProcessExecutor], None],
    ) -> None:
        self.id = executor_id
        self.threads, self.async_tasks = slots
        self.pid: int | None = os.getpid()
        self.state = State.STARTING
        self.backlog = 0
        self.finished = 0
        self._app = app
        self._events = events
        self._buried = buried
        self._worker_loop = asyncio.get_running_loop()
        self._sent: dict[int, None] = {}
        self._inbox = _Inbox()
        self._async_inbox = _Inbox()
        self._starts = _Starts()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: Runner | None = None
        self._keep: Keep | None = None
        self._idle = threading.Event()
        self._over: asyncio.Event | None = None
        threading.Thread(target=self._main, name=f"rmqwork-executor-{self.id}", daemon=True).start()

    # ── what the worker asks ──────────────────────────────────────────────────────────────────

    @property
    def outstanding(self) -> Collection[int]:
        """The deliveries that it has."""
        return self._sent.keys()

    def started(self) -> Mapping[int, float]:
        """The deliveries that run now, and since when."""
        return {n: since for n, since in self._starts.read().items() if n in self._sent}

    def send_threads(self, batch: Sequence[Message]) -> None:
        """Give it deliveries of tasks that run in threads."""
        self._sent.update(dict.fromkeys([message[_NUMBER] for message in batch]))
        if not self._inbox.put(batch):
            self._report(("back", [message[_NUMBER] for message in batch]))

    def send_async(self, batch: Sequence[Message]) -> None:
        """Give it deliveries of coroutine tasks."""
        self._sent.update(dict.fromkeys([message[_NUMBER] for message in batch]))
        if self._async_inbox.put(batch):
            self._in_loop(self._fill)
        else:
            self._report(("back", [message[_NUMBER] for message in batch]))

    def give_back(self, numbers: Collection[int] | None = None) -> None:
        """Have it report what it has not started; None = all, for good."""
        if numbers is None:
            back = self._inbox.close() + self._async_inbox.close()
        else:
            back = self._inbox.withdraw(numbers) + self._async_inbox.withdraw(numbers)
        if back:
            self._report(("back", back))

    def stopping(self) -> None:
        """Set ``ctx.stopping`` in its tasks."""
        self._stopping.set()

    def cancel_async(self) -> None:
        """Cancel all its coroutine tasks."""
        for number in list(self._tasks):
            self.cancel(number, "the worker shuts down")

    def cancel(self, number: int, why: str) -> None:
        """Cancel one coroutine task."""
        if task := self._tasks.get(number):
            self._cancelled.add(number)
            self._in_loop(lambda: task.cancel(why))

    def stack(self, request: int, number: int) -> None:
        """Where a task stands is not told here: a debugger sees it in this process."""
        self._in_loop(lambda: self._report(("stack", request, "a test worker tells no stacks")))

    def log_level(self, logger: str, level: int) -> None:
        """Nothing: the worker has set it for this process."""

    def ping(self, number: int) -> None:
        """Have it answer."""
        self._in_loop(lambda: self._report(("pong", number)))

    def exit(self) -> None:
        """Have it give back what it has not started, finish what runs, and end."""
        if self.state is not State.DEAD:
            self.state = State.STOPPING
        self.give_back()
        self._in_loop(self._check_end)

    def kill(self, number: int = int(signal.SIGKILL)) -> None:
        """Behave as if a signal had ended its process; what its threads still do is ignored."""
        self._worker_loop.call_soon(self._die, Death(os.getpid(), None, int(number)))

    # ── what it tells the worker ──────────────────────────────────────────────────────────────

    def send(self, messages: Sequence[Message]) -> None:
        """Report, from any thread; as `rmqwork._executor.control_writer.Outlet`."""
        for message in messages:
            self._report(message)

    def _report(self, message: Message) -> None:
        self._tell(self._receive, message)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the worker has gone
            self._worker_loop.call_soon_threadsafe(call, *arguments)

    def _receive(self, message: Message) -> None:
        if self.state is State.DEAD:
            return
        match message:
            case ("o" | "cancelled", number, *_):
                self._sent.pop(number, None)
            case ("back", numbers):
                for number in numbers:
                    self._sent.pop(number, None)
            case _:  # other numbers than a delivery's: of a ping, of a publish
                pass
        self._events.on_messages(cast("Executor", self), [message])

    def _ready(self) -> None:
        if self.state is State.STARTING:
            self.state = State.READY
            self._events.on_ready(cast("Executor", self))

    def _die(self, death: Death) -> None:
        if self.state is State.DEAD:
            return
        told, self.state = self.state is State.STOPPING, State.DEAD
        running = self.started()
        unstarted = tuple(number for number in self._sent if number not in running)
        self._sent.clear()
        self._inbox.close()
        self._async_inbox.close()
        self.cancel_async()
        self._in_loop(self._check_end)
        self._buried(self)
        self._events.on_death(
            cast("Executor", self),
            Death(
                death.pid,
                death.exit_code,
                death.signal,
                error=death.error,
                unfinished=running,
                unstarted=unstarted,
                expected=told and death.exit_code == 0,
            ),
        )

    # ── its main thread ───────────────────────────────────────────────────────────────────────

    def _main(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        lifespan = EnteredLifespan(self._app.open_lifespan(), loop)
        try:
            state = lifespan.enter()
        except BaseException as error:
            text = f"the lifespan failed:\n{user_traceback(error)}"
            self._tell(self._die, Death(error=text))
            loop.close()
            return
        self._start(loop, self._app.runner(state, stopping=self._stopping))
        loop.run_until_complete(self._until_over())
        try:
            lifespan.leave()
        except BaseException as error:
            text = f"the end of the lifespan failed:\n{user_traceback(error)}"
            self._tell(self._events.on_warning, text)
        loop.run_until_complete(loop.shutdown_asyncgens())
        self._loop = None
        loop.close()
        self._tell(self._die, Death(self.pid, 0))

    def _start(self, loop: asyncio.AbstractEventLoop, runner: Any) -> None:
        self._loop, self._runner, self._over = loop, runner, asyncio.Event()
        self._keep = runner.keep
        if self.threads:
            TaskThreads(
                self.threads,
                runner=runner,
                inbox=cast(Any, self._inbox),
                outlet=cast(Any, self),
                marks=cast(Any, self._starts),
                ended=self._threads_ended,
                keep=runner.keep,
            ).start()
        else:
            self._idle.set()
        self._tell(self._ready)

    def _threads_ended(self) -> None:
        self._idle.set()
        self._in_loop(self._check_end)

    async def _until_over(self) -> None:
        assert self._over is not None
        self._check_end()
        await self._over.wait()

    def _check_end(self) -> None:
        """It is over when it was told so, and nothing runs; at once when it is dead."""
        done = self.state is State.STOPPING and self._idle.is_set() and not self._tasks
        if self._over is not None and (done or self.state is State.DEAD):
            self._over.set()

    def _in_loop(self, call: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call)

    # ── coroutine tasks ───────────────────────────────────────────────────────────────────────

    def _fill(self) -> None:
        assert self._loop is not None
        while len(self._tasks) < self.async_tasks and (message := self._async_inbox.pop()):
            number = message[_NUMBER]
            self._starts.start(-number, number)
            self._tasks[number] = self._loop.create_task(self._run(number, message))

    async def _run(self, number: int, message: Message) -> None:
        runner = self._runner
        assert runner is not None
        outcome: Outcome | None
        try:
            prepared = runner.prepare(message)
            outcome = (
                prepared
                if isinstance(prepared, Failure)
                else await runner.arun(prepared, partial(contains, self._cancelled, number))
            )
            if self._keep is not None and outcome is not None:
                outcome = await asyncio.to_thread(self._keep, message, outcome)
        except asyncio.CancelledError:
            outcome = None
        except BaseException as error:
            outcome = broken(error)
        self._report(("cancelled", number) if outcome is None else outcome_message(number, outcome))
        self._starts.clear(-number)
        del self._tasks[number]
        self._cancelled.discard(number)
        self._fill()
        self._check_end()


class InProcessTemplate:
    """Has the interface of `Template`, for an app that is imported already.

    Args:
        app: whose tasks are to run.
    """

    alive = True

    def __init__(self, app: App) -> None:
        self._app = app
        self._ids = 0
        self.pid = os.getpid()
        self.events: PoolEvents
        self.executors: dict[int, InProcessExecutor] = {}

    async def manifest(self) -> dict[str, Any]:
        """What the app has."""
        return self._app.manifest()

    def fork(self, threads: int, async_tasks: int) -> InProcessExecutor:
        """Start an executor."""
        self._ids += 1
        slots = (threads, async_tasks)
        executor = InProcessExecutor(self._app, self._ids, slots, self.events, self._bury)
        self.executors[executor.id] = executor
        return executor

    def _bury(self, executor: InProcessExecutor) -> None:
        self.executors.pop(executor.id, None)

    async def close(self, timeout: float = 5.0) -> None:
        """End the executors that are left, without patience."""
        for executor in list(self.executors.values()):
            executor.kill()
        await asyncio.sleep(0)
