"""A worker in this process: the real one, with executors that are threads."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, cast

from rmqwork._worker.model.options import WorkerOptions
from rmqwork.errors import RmqworkError
from rmqwork.testing._executor import InProcessTemplate
from rmqwork.types import Failure, Outcome, Reason, RetryOutcome, Success

if TYPE_CHECKING:
    from rmqwork._tasks.app import App
    from rmqwork._worker.model.held import HeldDelivery
    from rmqwork._worker.processes.template import Template
    from rmqwork._worker.worker import Worker

_START_TIMEOUT: Final = 30.0
_STOP_TIMEOUT: Final = 60.0
_POLL: Final = 0.001
_GRACE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a task, as the worker saw its end.

    Args:
        task: the task's name.
        task_id: the message's id.
        queue: the app's queue.
        attempt: from 1.
        outcome: what it came to; None = it did not come to an end, and was handed back.
    """

    task: str
    task_id: str
    queue: str
    attempt: int
    outcome: Outcome | None

    @property
    def succeeded(self) -> bool:
        """Whether the task ran to its end."""
        return isinstance(self.outcome, Success)

    @property
    def retried(self) -> bool:
        """Whether it is to run again."""
        return isinstance(self.outcome, RetryOutcome)

    @property
    def delay(self) -> float | None:
        """Seconds until it runs again, if it does."""
        return self.outcome.delay if isinstance(self.outcome, RetryOutcome) else None

    @property
    def reason(self) -> Reason | None:
        """Why it was dead-lettered, if it was."""
        return self.outcome.reason if isinstance(self.outcome, Failure) else None

    @property
    def error(self) -> str:
        """What went wrong: ``ValueError: no such customer``; or an empty string."""
        if isinstance(self.outcome, (RetryOutcome, Failure)):
            evidence = self.outcome.evidence
            return f"{evidence.type}: {evidence.message}"
        return ""


class _Ending:
    """What ends the worker; see `rmqwork._worker.run.Stop`."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()


class TestWorkerOptions(TypedDict, total=False):
    """What a `TestWorker` takes beside its app."""

    queues: Sequence[str]
    concurrency: int | None
    async_concurrency: int | None
    grace: float


class TestWorker:
    """A worker for an app on the app's own broker, in a thread of this process::

        with app.test_worker() as worker:
            add.delay(2, 2)
            worker.wait_until_idle()
        assert worker.runs[0].succeeded

    Args:
        app: whose tasks are to run.
        queues: which of its queues; default: all.
        concurrency: tasks in threads at once; default: the app's.
        async_concurrency: coroutine tasks at once; default: the app's.
        grace: seconds that running tasks have at the end.
    """

    __test__ = False  # for pytest

    def __init__(
        self,
        app: App,
        *,
        queues: Sequence[str] = (),
        concurrency: int | None = None,
        async_concurrency: int | None = None,
        grace: float = _GRACE,
    ) -> None:
        self.app = app
        self.runs: list[Run] = []
        """What ran, in the order in which it ended."""
        self.exit_code: int | None = None
        """As that of ``rmqwork worker``; None while it works."""
        self._options = WorkerOptions(
            app.name,
            queues=[(queue, None) for queue in queues],
            processes=1,
            concurrency=concurrency,
            async_concurrency=async_concurrency,
            grace=grace,
            name="test",
        )
        self._started: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._ending: _Ending | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="rmqwork-test-worker", daemon=True)

    # ── its life ──────────────────────────────────────────────────────────────────────────────

    def start(self) -> Self:
        """Start it; returns when it consumes.

        Raises:
            RmqworkError: the app, the topology or the lifespan is wrong, or there is no broker.
        """
        self.app.load()
        self._thread.start()
        self._started.result(_START_TIMEOUT)
        return self

    def stop(self) -> int:
        """Shut it down as SIGTERM does; returns the exit code.

        Raises:
            RmqworkError: what has ended it before.
        """
        self._tell_ending("stop")
        self._thread.join(_STOP_TIMEOUT)
        if self._error is not None:
            raise self._error
        if self.exit_code is None:
            raise RmqworkError(f"the test worker did not stop within {_STOP_TIMEOUT:g} s")
        return self.exit_code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:  # the test has failed already: tell of that
            self._tell_ending("at_once")
            self._tell_ending("stop")
            self._thread.join(_STOP_TIMEOUT)

    def _tell_ending(self, which: str) -> None:
        if self._ending is not None and self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(getattr(self._ending, which).set)

    # ── what a test asks of it ────────────────────────────────────────────────────────────────

    @property
    def busy(self) -> bool:
        """Whether it holds anything: running, waiting, or being settled."""
        worker = self._worker
        if worker is None:
            return False
        try:
            return bool(
                len(worker.ready)
                or worker.settlement.open
                or worker.dispatcher.suspects
                or worker.joins.busy
                or next(iter(worker.dispatcher.running), None)
            )
        except RuntimeError:  # it changed while we looked, from another thread
            return True

    def crash(self, number: int = int(signal.SIGKILL)) -> None:
        """Behave as if the process that runs the tasks had been killed by a signal.

        What runs goes on in its thread (threads cannot be killed) and nobody listens any more.
        """
        self._in_loop(lambda worker: [e.kill(number) for e in _executors(worker)])

    def wait_until_idle(self, timeout: float = 10.0, *, quiet: float | None = None) -> None:
        """Returns when nothing runs and nothing waits in the queues that it works on.

        Delayed messages and dead letters are not waited for; see `Kit.run_all`.

        Args:
            timeout: seconds.
            quiet: seconds for which it must stay so; default: none in memory, 0.2 on a real broker,
                whose counts lag.

        Raises:
            TimeoutError: it is not so in time.
        """
        from rmqwork.testing._idle import wait_until_idle

        wait_until_idle(self, self.queues, timeout, quiet)

    @property
    def queues(self) -> list[str]:
        """The broker's queues that it reads."""
        plan = self._plan()
        return [source for queue, _ in plan.queues for source in plan.sources(queue)]

    @property
    def join_queues(self) -> Sequence[str]:
        """The broker's queues in which it joins groups; none before it has seen one."""
        return () if self._worker is None else self._worker.joins.queues

    def _plan(self) -> Any:
        assert self._worker is not None, "start the worker first"
        return self._worker.plan

    def _in_loop(self, call: Any) -> None:
        worker, loop = self._worker, self._loop
        assert worker is not None, "start the worker first"
        assert loop is not None
        loop.call_soon_threadsafe(call, worker)

    # ── its thread ────────────────────────────────────────────────────────────────────────────

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            if self._started.done():
                self._error = error
            else:
                self._started.set_exception(error)
        finally:
            self._loop = None

    async def _run(self) -> None:
        from rmqwork._config.manifest import Manifest
        from rmqwork._worker.model.plan import worker_spec
        from rmqwork._worker.run import work
        from rmqwork._worker.worker import Worker

        self._loop, self._ending = asyncio.get_running_loop(), _Ending()
        template = InProcessTemplate(self.app)
        plan = worker_spec(self._options, Manifest.from_dict(await template.manifest()))
        as_template = cast("Template", template)
        stop = self._ending.stop.set
        worker = Worker(plan, as_template, lambda: as_template, stop, observer=self._observe)
        self._worker, template.events = worker, worker.reports
        watching = asyncio.create_task(self._tell_when_consuming(worker))
        try:
            self.exit_code = await work(worker, self._ending)
        finally:
            watching.cancel()

    async def _tell_when_consuming(self, worker: Worker) -> None:
        while not worker.consumption.consuming:
            await asyncio.sleep(_POLL)
        if not self._started.done():
            self._started.set_result(None)

    def _observe(self, held: HeldDelivery, outcome: Outcome | None) -> None:
        name = held.delivery.type or ""
        self.runs.append(Run(name, held.task_id, held.queue, held.attempt, outcome))

    def __repr__(self) -> str:
        return f"<TestWorker of {self.app.name}: {len(self.runs)} runs>"


def _executors(worker: Worker) -> list[Any]:
    return list(worker.pool.template.executors.values())
