"""`App`: the tasks, queues, routes and settings of one application, and its publishing verbs."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rmqwork import codec
from rmqwork.canvas.signature import Signature
from rmqwork.config import Settings, SettingsArguments, check_arguments, load_settings
from rmqwork.errors import ConfigurationError, RmqworkError
from rmqwork.lifespan import Lifespan, LifespanFunction, Opened
from rmqwork.manifest import Manifest, QueueEntry, TaskEntry
from rmqwork.message import TaskMessage
from rmqwork.middleware import Hooks, Middleware
from rmqwork.options import CallOptions, PublishOptions, parse
from rmqwork.registry import TaskRegistry, TaskSet
from rmqwork.results import AsyncResult
from rmqwork.retry import Retry
from rmqwork.routing import Router, Routes
from rmqwork.sending import Sender, warn_on_loop
from rmqwork.task import Encoded, Task, encode_message
from rmqwork.topology import Declaration, Exchange, Queue, app_plan
from rmqwork.transport.port import PublishPort
from rmqwork.types import Publication

if TYPE_CHECKING:
    from typing import Unpack

    from rmqwork.context import Signal
    from rmqwork.execution import TaskRunner

F = TypeVar("F", bound=LifespanFunction)
_CLOSE_TIMEOUT = 30.0


class App(TaskRegistry):
    """An application's tasks, queues, routes and settings.

    Args:
        name: in front of the names of function-style tasks, and shown in the broker.
        broker: one address or several of one cluster; default ``RMQWORK_BROKER``, a file, or
            ``amqp://guest:guest@localhost:5672/``.
        results: the result back end; there is none yet.
        queues: all its queues (`Queue`, or their names); default: one named like the app.
        exchanges: exchanges of its own, besides ``rmqwork.tasks``.
        default_queue: for what no route leads elsewhere; default: the first of ``queues``.
        routes: patterns of task names (as in `fnmatch`) with a queue's name or a `Route` each, or a
            function ``(name, message, options)`` that returns one or None.
        include: modules that declare tasks; a worker imports them.
        middleware: see `Middleware`.
        retry: the policy of tasks that have none; default: one attempt.
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
        **settings: Unpack[SettingsArguments],
    ) -> None:
        super().__init__(name)
        codec.check_app_name(name)
        if results is not None:
            raise ConfigurationError(
                f"App({name!r}): unknown result back end {results!r}; this version has none"
            )
        if retry is not None and not isinstance(retry, Retry):
            raise ConfigurationError(f"App({name!r}): retry is a Retry(...), not {retry!r}")
        self._arguments = check_arguments({"broker": broker, **settings})
        self.queues = _queues(name, queues, default_queue)
        self.default_queue = default_queue or next(iter(self.queues))
        self.exchanges = tuple(exchanges)
        self.include = (include,) if isinstance(include, str) else tuple(include)
        self.retry = retry
        self.hooks = Hooks(middleware)
        self._router = Router(self.queues.values(), self.exchanges, self.default_queue, routes)
        self._sets: list[TaskSet] = []
        self._lifespan: Lifespan | None = None
        self._state: Any = None
        self._sender = Sender(self._make_publisher, self.hooks)

    @property
    def app(self) -> App:
        """Itself."""
        return self

    @property
    def state(self) -> Any:
        """What the lifespan has yielded in this process; None outside of executors."""
        return self._state

    @functools.cached_property
    def settings(self) -> Settings:
        """From arguments, ``RMQWORK_…`` variables and a file; read on first use.

        Raises:
            ConfigurationError: one is unknown or wrong.
        """
        return load_settings(self._arguments)

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
            _note(problems, lambda task=task: task.body)  # type: ignore[misc]
        _note(problems, self.topology)
        _note(problems, lambda: self.settings)
        if problems:
            raise ConfigurationError("\n  ".join([f"App {self.name!r}:", *problems]))

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
        return app_plan(self.queues.values(), self.exchanges)

    def manifest(self) -> dict[str, Any]:
        """What the worker process has to know, as plain values: `Manifest.to_dict`."""
        return Manifest(
            app=self.name,
            settings=self.settings,
            queues={name: QueueEntry.of(queue) for name, queue in self.queues.items()},
            default_queue=self.default_queue,
            declarations=self.topology(),
            tasks={name: self._entry(task) for name, task in self.tasks.items()},
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
        )

    def policy(self, task: Task[..., Any]) -> Retry | None:
        """The retry policy of a task; None = one attempt."""
        return task.task_options.retry or self.retry

    # ── running ───────────────────────────────────────────────────────────────────────────────

    def open_lifespan(self) -> Opened | None:
        """The context manager of the lifespan, if there is one; for executors."""
        return None if self._lifespan is None else self._lifespan.open(self)

    def runner(self, state: object = None, *, stopping: Signal | None = None) -> TaskRunner:
        """What runs this app's tasks in this process; for executors and tests.

        Args:
            state: what the lifespan has yielded.
            stopping: set when the worker shuts down.
        """
        from rmqwork.context import NEVER
        from rmqwork.execution import TaskRunner

        self._state = state
        return TaskRunner(self, state, stopping or NEVER)

    # ── publishing ────────────────────────────────────────────────────────────────────────────

    def publish(
        self, message: TaskMessage, **options: Unpack[PublishOptions]
    ) -> AsyncResult[object]:
        """Publish a message, routed by its class; the handler need not be known here.

        Returns when the broker has confirmed it.

        Raises:
            ConfigurationError: an option is wrong, or a route leads to a queue that is not there.
            InvalidMessage: it cannot be written or carried.
            PublishError: the broker did not take it, or nobody knows.
        """
        return self.publish_encoded(
            encode_message(message), self._options(options, "publish"), ("publish", "apublish")
        )

    async def apublish(
        self, message: TaskMessage, **options: Unpack[PublishOptions]
    ) -> AsyncResult[object]:
        """`publish` for asyncio."""
        return await self.apublish_encoded(
            encode_message(message), self._options(options, "apublish")
        )

    def publish_many(
        self,
        messages: Iterable[TaskMessage | Signature[Any]],
        **options: Unpack[PublishOptions],
    ) -> list[AsyncResult[object]]:
        """Publish many messages or signatures, pipelined; returns when all are confirmed.

        All are checked and encoded before the first is sent.

        Raises:
            PublishError: its ``failures`` has the error of each id that was not confirmed.
        """
        publications, timeout = self._compose_many(messages, options, "publish_many")
        warn_on_loop("publish_many", "apublish_many", 3)
        self._sender.send_many(publications, timeout)
        return [AsyncResult(one.message_id, one.type or "") for one in publications]

    async def apublish_many(
        self,
        messages: Iterable[TaskMessage | Signature[Any]],
        **options: Unpack[PublishOptions],
    ) -> list[AsyncResult[object]]:
        """`publish_many` for asyncio."""
        publications, timeout = self._compose_many(messages, options, "apublish_many")
        await self._sender.asend_many(publications, timeout)
        return [AsyncResult(one.message_id, one.type or "") for one in publications]

    def send_task(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        *,
        version: int = 1,
        **options: Unpack[PublishOptions],
    ) -> AsyncResult[object]:
        """Publish by name; validated if the task is known here.

        Args:
            name: the task's.
            fields: of its message, or its arguments by name.
            version: of the fields, if the task is not known here.
            **options: see `PublishOptions`.

        Raises:
            InvalidMessage, ConfigurationError, PublishError: see `publish`.
        """
        encoded = self._by_name(name, fields, version)
        return self.publish_encoded(
            encoded, self._options(options, "send_task"), ("send_task", "asend_task")
        )

    async def asend_task(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        *,
        version: int = 1,
        **options: Unpack[PublishOptions],
    ) -> AsyncResult[object]:
        """`send_task` for asyncio."""
        encoded = self._by_name(name, fields, version)
        return await self.apublish_encoded(encoded, self._options(options, "asend_task"))

    def publish_encoded(
        self, encoded: Encoded, options: CallOptions, verbs: tuple[str, str]
    ) -> AsyncResult[Any]:
        """Publish what a task or a message has encoded; the one way for all blocking verbs.

        Args:
            encoded: the message.
            options: of the call.
            verbs: what was called, and its twin for asyncio.
        """
        publication = self.compose(encoded, options)
        warn_on_loop(*verbs)
        timeout = options.timeout or self.settings.publish_timeout
        return AsyncResult(self._sender.send(publication, timeout), encoded.name)

    async def apublish_encoded(self, encoded: Encoded, options: CallOptions) -> AsyncResult[Any]:
        """`publish_encoded` for the async verbs."""
        publication = self.compose(encoded, options)
        timeout = options.timeout or self.settings.publish_timeout
        return AsyncResult(await self._sender.asend(publication, timeout), encoded.name)

    def compose(self, encoded: Encoded, options: CallOptions) -> Publication:
        """The publication of a message: its route and its properties."""
        route = self._router.resolve(encoded.name, encoded.queue, encoded.value, options)
        return codec.compose(
            encoded.name,
            encoded.body,
            route,
            options,
            now=time.time(),
            app_id=self.name,
            version=encoded.version,
            max_size=self.settings.max_message_size,
        )

    def use_publisher(self, port: PublishPort | None) -> None:
        """Publish by this port in this process: in executors the pipe to the worker, in tests a
        fake. None = by a connection of the app's own."""
        self._sender.use(port)

    def close(self, timeout: float = _CLOSE_TIMEOUT) -> int:
        """Flush what was published and disconnect; returns how many were not confirmed.

        Args:
            timeout: seconds to wait for confirms.
        """
        return self._sender.close(timeout)

    def _options(self, given: Mapping[str, Any], verb: str) -> CallOptions:
        return parse(given, f"App {self.name!r}, {verb}", time.time())

    def _by_name(self, name: str, fields: Mapping[str, Any] | None, version: int) -> Encoded:
        task = self.tasks.get(name)
        if task is not None:
            return task.encode_fields(fields or {})
        return Encoded(name, codec.dump_fields(name, fields or {}), version, None, fields or {})

    def _compose_many(
        self, messages: Iterable[TaskMessage | Signature[Any]], given: Mapping[str, Any], verb: str
    ) -> tuple[list[Publication], float]:
        if given.get("task_id") is not None:
            raise ConfigurationError(f"App {self.name!r}, {verb}: many messages take no task_id")
        options = self._options(given, verb)
        publications = []
        for message in messages:
            if isinstance(message, Signature):
                encoded = message.task.encode(message.args, message.kwargs)
                mine = message.task.signature_options(message, given)
            else:
                encoded, mine = encode_message(message), options
            publications.append(self.compose(encoded, mine))
        return publications, options.timeout or self.settings.publish_timeout

    def _make_publisher(self) -> PublishPort:
        from rmqwork.publisher_thread import ThreadedPublisher
        from rmqwork.transport import connect

        settings = self.settings
        connector = connect(settings.broker, settings.heartbeat)
        return ThreadedPublisher(connector, self.topology(), self.name)

    def __repr__(self) -> str:
        return f"<App {self.name}>"


def _queues(app: str, queues: Iterable[Queue | str], default_queue: str | None) -> dict[str, Queue]:
    found: dict[str, Queue] = {}
    for entry in queues:
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
