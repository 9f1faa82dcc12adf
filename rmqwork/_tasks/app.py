"""`App`: the tasks, queues, routes and settings of an application; `TaskSet`: tasks without one."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    contextmanager,
)
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from rmqwork._config.manifest import Manifest, QueueEntry, TaskEntry
from rmqwork._config.settings import SettingsArguments, check_arguments
from rmqwork._config.task_table import TaskTable
from rmqwork._messages import codec
from rmqwork._messages.routing import Router, Routes
from rmqwork._publisher.publisher_thread import ThreadedPublisher
from rmqwork._publisher.sender import Sender
from rmqwork._tasks.lifespan import Lifespan, Opened
from rmqwork._tasks.middleware import Hooks, Middleware
from rmqwork._tasks.publishing import Publishing
from rmqwork._tasks.registry import TaskRegistry
from rmqwork._tasks.retry import Retry
from rmqwork._tasks.task import Task
from rmqwork._topology.topology import Declaration, Exchange, Queue, app_declarations
from rmqwork._transport.connecting import connect_later
from rmqwork._transport.port import PublishPort
from rmqwork.errors import ConfigurationError, RmqworkError

if TYPE_CHECKING:
    from typing import Unpack

    from rmqwork._messages.sealing import Seal
    from rmqwork._tasks.context import Signal
    from rmqwork._tasks.execution import TaskRunner
    from rmqwork.testing.worker import TestWorker, TestWorkerOptions

LifespanFunction = (
    Callable[[], Iterator[Any]]
    | Callable[[], AsyncIterator[Any]]
    | Callable[["App"], Iterator[Any]]
    | Callable[["App"], AsyncIterator[Any]]
    | Callable[[], AbstractContextManager[Any]]
    | Callable[[], AbstractAsyncContextManager[Any]]
    | Callable[["App"], AbstractContextManager[Any]]
    | Callable[["App"], AbstractAsyncContextManager[Any]]
)
"""What ``@app.lifespan`` takes."""
F = TypeVar("F", bound=LifespanFunction)


class App(Publishing):
    """An application's tasks, queues, routes and settings.

    Args:
        name: in front of the names of function-style tasks, and shown in the broker.
        broker: one address or several of one cluster; default ``RMQWORK_BROKER``, a file, or
            ``amqp://guest:guest@localhost:5672/``.
        results: where results are kept: ``rpc://``, ``redis://…``, ``postgresql://…``,
            ``mysql://…``, ``sqlite:///…``; default ``RMQWORK_RESULTS``, a file, or nowhere.
        queues: all its queues (`Queue`, or their names); default: one named like the app.
        exchanges: exchanges of its own, besides ``rmqwork.tasks``.
        default_queue: for what no route leads elsewhere; default: the first of ``queues``.
        routes: patterns of task names (as in `fnmatch`) with a queue's name or a `Route` each, or a
            function ``(name, message, options)`` that returns one or None.
        include: modules that declare tasks; a worker imports them.
        middleware: see `Middleware`.
        retry: the policy of tasks that have none; default: one attempt.
        seal: which tasks' messages are signed or encrypted, and with which keys.
        **settings: see `Settings`.

    Raises:
        ConfigurationError: what can be seen at once; `check` finds the rest.
    """

    def __init__(
        self,
        name: str,
        *,
        broker: str | Sequence[str] | None = None,
        results: str | None = None,
        queues: Iterable[Queue | str] = (),
        exchanges: Iterable[Exchange] = (),
        default_queue: str | None = None,
        routes: Routes | None = None,
        include: Iterable[str] = (),
        middleware: Iterable[Middleware] = (),
        retry: Retry | None = None,
        seal: Seal | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> None:
        super().__init__(name)
        codec.check_app_name(name)
        if retry is not None and not isinstance(retry, Retry):
            raise ConfigurationError(f"App({name!r}): retry is a Retry(...), not {retry!r}")
        self._arguments = check_arguments({"broker": broker, "results": results, **settings})
        self.queues = _queues(name, queues, default_queue)
        self.default_queue = default_queue or next(iter(self.queues))
        self.exchanges = tuple(exchanges)
        self.include = (include,) if isinstance(include, str) else tuple(include)
        self.retry = retry
        self.seal = seal
        self.hooks = Hooks(middleware)
        self._router = Router(self.queues.values(), self.exchanges, self.default_queue, routes)
        self._sets: list[TaskSet] = []
        self._lifespan: Lifespan | None = None
        self._state: Any = None
        self._sender = Sender(self._make_publisher, self.hooks)

    @property
    def app(self) -> App:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Itself."""
        return self

    @property
    def state(self) -> Any:
        """What the lifespan has yielded in this process; None outside of executors."""
        return self._state

    # ── declaring ─────────────────────────────────────────────────────────────────────────────

    def add(self, task_set: TaskSet) -> None:
        """Make the tasks of a library this app's.

        Raises:
            ConfigurationError: it has a task of such a name already.
        """
        if not isinstance(task_set, TaskSet):
            raise ConfigurationError(f"App.add takes a TaskSet, not {task_set!r}")
        task_set.join(self)
        if task_set not in self._sets:
            self._sets.append(task_set)

    def lifespan(self, function: F) -> F:
        """Declare what each executor process sets up once: a function that yields once, or a
        context manager, sync or async; it takes the app or nothing. Its value is ``ctx.state``.

        Raises:
            ConfigurationError: there is one already.
        """
        if self._lifespan is not None:
            raise ConfigurationError(
                f"App {self.name!r} has the lifespan {self._lifespan.name} already; make one of two"
            )
        self._lifespan = Lifespan(function)
        return function

    @contextmanager
    def override(
        self, dependency: Callable[..., Any], replacement: Callable[..., Any]
    ) -> Iterator[None]:
        """Let another function stand in for a dependency, in tests."""
        with ExitStack() as stack:
            for registry in (self, *self._sets):
                stack.enter_context(registry.overrides.replaced(dependency, replacement))
            yield

    def check(self) -> None:
        """Find what is wrong with the app.

        Raises:
            ConfigurationError: all of it: annotations, routes, queues, exchanges.
        """
        problems = self._router.problems((task.name, task.queue) for task in self.tasks.values())
        for task in self.tasks.values():
            _note(problems, task.warm)
            problems += self._check_partition_key(task)
        _note(problems, self.topology)
        _note(problems, self._check_results)
        _note(problems, self._check_event_loop)
        if problems:
            raise ConfigurationError("\n  ".join([f"App {self.name!r}:", *dict.fromkeys(problems)]))

    def _check_partition_key(self, task: Task[..., Any]) -> list[str]:
        """What is wrong with the key of a task that goes to a queue with partitions."""
        try:
            partitioning = self._router.partitioning(self._router.home(task.name, task.queue))
        except RmqworkError:
            return []  # the router's problem, and told as such
        if partitioning is None:
            return []
        problem = partitioning.problem(task.name, task.partition_key, task.parameters.names)
        return [] if problem is None else [problem]

    def _check_results(self) -> None:
        """Build what writes results, and see that they can be written."""
        if self.settings.results is not None:
            for task in self.tasks.values():
                if not task.task_options.ignore_result:
                    _ = task.values

    def _check_event_loop(self) -> None:
        if self.settings.event_loop == "uvloop" and find_spec("uvloop") is None:
            raise ConfigurationError(
                "event_loop is uvloop, which is not installed here: pip install rmqwork[uvloop]"
            )

    def load(self) -> None:
        """Import the modules of ``include``, then `check`."""
        for module in self.include:
            importlib.import_module(module)
        self.check()

    def topology(self) -> list[Declaration]:
        """All exchanges, queues and bindings.

        Raises:
            ConfigurationError: they contradict each other.
        """
        return app_declarations(self.queues.values(), self.exchanges)

    def manifest(self) -> dict[str, Any]:
        """What the worker process has to know, as plain values."""
        return Manifest(
            app=self.name,
            settings=self.settings,
            queues={name: QueueEntry.of(queue) for name, queue in self.queues.items()},
            default_queue=self.default_queue,
            declarations=self.topology(),
            tasks=TaskTable(map(self._entry, self.tasks.values())),
        ).to_dict()

    def _entry(self, task: Task[..., Any]) -> TaskEntry:
        options, policy = task.task_options, self.policy(task)
        return TaskEntry(
            name=task.name,
            kind="async" if task.parameters.is_async else "thread",
            queue=self._router.home(task.name, task.queue),
            version=task.version,
            max_attempts=1 if policy is None else policy.max_attempts,
            time_limit=options.time_limit,
            hard_time_limit=options.hard_time_limit,
            isolated=options.isolated,
            ignore_result=options.ignore_result,
            aliases=tuple(task.aliases),
        )

    def policy(self, task: Task[..., Any]) -> Retry | None:
        """The retry policy of a task; None = one attempt."""
        return task.task_options.retry or self.retry

    # ── running ───────────────────────────────────────────────────────────────────────────────

    def open_lifespan(self) -> Opened | None:
        """The context manager of the lifespan, if there is one; for executors."""
        return None if self._lifespan is None else self._lifespan.open(self)

    def runner(
        self,
        state: object = None,
        *,
        stopping: Signal | None = None,
        progress: Callable[[int, float, float | None], None] | None = None,
    ) -> TaskRunner:
        """What runs this app's tasks in this process; for executors and tests.

        Args:
            state: what the lifespan has yielded.
            stopping: set when the worker shuts down.
            progress: told how far a task is: its delivery's number, current, total.
        """
        from rmqwork._tasks.context import NEVER
        from rmqwork._tasks.execution import TaskRunner

        self._state = state
        return TaskRunner(
            self.tasks,
            self.policy,
            hooks=self.hooks,
            seal=self.seal,
            settings=self.settings,
            state=state,
            stopping=stopping or NEVER,
            progress=progress,
        )

    def test_worker(self, **options: Unpack[TestWorkerOptions]) -> TestWorker:
        """A worker for this app in this process, in threads: for tests, notebooks and Windows::

            with app.test_worker() as worker:
                add.delay(2, 2)
                worker.wait_until_idle()

        Args:
            **options: see `rmqwork.testing.TestWorker`.
        """
        from rmqwork.testing.worker import TestWorker

        return TestWorker(self, **options)

    def _make_publisher(self) -> PublishPort:
        settings = self.settings
        connector = connect_later(settings.broker, settings.heartbeat)
        return ThreadedPublisher(connector, self.topology(), self.name)

    def __repr__(self) -> str:
        return f"<App {self.name}>"


class TaskSet(TaskRegistry):
    """Tasks of a library that has no app; ``app.add(task_set)`` makes them an app's::

        tasks = TaskSet("billing")

        @tasks.task
        def charge(customer: int) -> None: ...

    Args:
        name: in front of the names of function-style tasks.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._apps: weakref.WeakSet[App] = weakref.WeakSet()

    @property
    def app(self) -> App:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The one app that the set was added to.

        Raises:
            ConfigurationError: there is none, or more than one.
        """
        apps = list(self._apps)
        if len(apps) == 1:
            return apps[0]
        if not apps:
            raise ConfigurationError(
                f"task set {self.name!r} belongs to no app yet; call app.add(task_set) first"
            )
        raise ConfigurationError(
            f"task set {self.name!r} belongs to the apps "
            f"{', '.join(sorted(repr(app.name) for app in apps))}; say which one publishes: "
            "app.send_task(name, {…}) or app.publish(message)"
        )

    @property
    def state(self) -> Any:
        """That of its app, if it has one."""
        apps = list(self._apps)
        return apps[0].state if len(apps) == 1 else None

    def register(self, task: Task[..., Any]) -> None:
        """Add a task to the set, and to the apps that have the set."""
        super().register(task)
        for app in tuple(self._apps):
            app.register(task)

    def join(self, app: App) -> None:
        """Become part of an app; called by ``app.add``."""
        for task in self.tasks.values():
            app.register(task)
        self._apps.add(app)


def _queues(app: str, queues: Iterable[Queue | str], default_queue: str | None) -> dict[str, Queue]:
    found: dict[str, Queue] = {}
    for entry in (queues,) if isinstance(queues, (str, Queue)) else queues:
        queue = Queue(entry) if isinstance(entry, str) else entry
        if not isinstance(queue, Queue):
            raise ConfigurationError(f"App({app!r}): {queue!r} is no Queue")
        if queue.name in found:
            raise ConfigurationError(f"App({app!r}): queue {queue.name!r} is there twice")
        found[queue.name] = queue
    if not found:
        found[default_queue or app] = Queue(default_queue or app)
    if default_queue is not None and default_queue not in found:
        raise ConfigurationError(
            f"App({app!r}): default_queue {default_queue!r} is not among its queues: "
            f"{', '.join(sorted(found))}"
        )
    return found


def _note(problems: list[str], look: Callable[[], object]) -> None:
    try:
        look()
    except RmqworkError as error:
        problems.append(str(error))
