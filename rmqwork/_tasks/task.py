"""`Task`: a function that can be called here, or published to run elsewhere."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Protocol, TypeVar

from rmqwork._canvas import schemas
from rmqwork._canvas.links import merge, parse
from rmqwork._config.cached import cached_property
from rmqwork._config.celery_names import NamesCeleryWords
from rmqwork._messages.codec import Body, MessageBody, dump_message
from rmqwork._messages.encoded import EncodedMessage, encode_message
from rmqwork._messages.ids import uuid7
from rmqwork._messages.message import (
    MessageInfo,
    TaskMessage,
    Upcaster,
    message_info,
    upcaster_of,
)
from rmqwork._messages.options import NO_OPTIONS, CallOptions
from rmqwork._results.values import Returns
from rmqwork._tasks.arguments import Arguments, ArgumentsBody, dump_arguments
from rmqwork._tasks.binding import ArgumentBinder
from rmqwork._tasks.context import Context
from rmqwork._tasks.dependencies import Injector, Overrides
from rmqwork._tasks.invocation import Invocation
from rmqwork._tasks.parameters import Parameters
from rmqwork._tasks.signature_methods import MakesSignatures
from rmqwork._tasks.task_options import TaskOptions
from rmqwork.errors import ConfigurationError, InvalidMessage

if TYPE_CHECKING:
    from typing import Unpack

    from rmqwork._canvas.ports import PublishingApp
    from rmqwork._canvas.signature import LinkOptions
    from rmqwork._results.result import AsyncResult
    from rmqwork._results.values import Values

P = ParamSpec("P")
R = TypeVar("R")


class TaskOwner(Protocol):
    """What declares tasks: an app, or a set of tasks."""

    @property
    def name(self) -> str:
        """In front of the names of function-style tasks."""
        ...

    @property
    def app(self) -> PublishingApp:
        """The app that publishes for its tasks.

        Raises:
            ConfigurationError: there is none, or more than one.
        """
        ...

    @property
    def state(self) -> Any:
        """What the app's lifespan has yielded in this process; None elsewhere."""
        ...

    @property
    def overrides(self) -> Overrides:
        """The dependencies that tests replace."""
        ...


class Task(NamesCeleryWords, MakesSignatures[P, R]):
    """What ``@app.task`` makes of a function.

    Calling it runs the function here; ``delay`` and its relatives publish a message. All of them
    are typed like the function, without what is injected.

    Attributes:
        name: by which messages name it.
        function: as it was written.
        task_options: what ``@app.task(...)`` said.
        parameters: who fills which parameter.
    """

    _celery_kind: ClassVar = "task"

    __name__: str
    __qualname__: str

    def __init__(
        self,
        registry: TaskOwner,
        function: Callable[..., Any],
        parameters: Parameters,
        name: str,
        task_options: TaskOptions,
        injector: Injector | None,
        returns: Returns,
    ) -> None:
        functools.update_wrapper(self, function)
        self.registry = registry
        self.function = function
        self.parameters = parameters
        self.name = name
        self.task_options = task_options
        self._injector = injector
        self._returns = returns
        self._options = NO_OPTIONS

    # ── here ──────────────────────────────────────────────────────────────────────────────────

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now, with its context and its dependencies."""
        call = self.call
        if not call.injects:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        return call.run(self._context_here(), args, kwargs)  # type: ignore[no-any-return]

    def _context_here(self) -> Context:
        return Context(uuid7(), self.name, self.registry.state)

    # ── elsewhere ─────────────────────────────────────────────────────────────────────────────

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Publish a message for this task; returns when the broker has confirmed it.

        Raises:
            InvalidMessage: the arguments do not fit.
            PublishError: the broker did not take it, or nobody knows.
        """
        return self.registry.app.publish_encoded(
            self.encode(args, kwargs), self._options, ("delay", "adelay")
        )

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """`delay` for asyncio."""
        return await self.registry.app.apublish_encoded(self.encode(args, kwargs), self._options)

    def apply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[LinkOptions],
    ) -> AsyncResult[R]:
        """`delay` with options (see ``LinkOptions``).

        Args:
            args: positional arguments of the function.
            kwargs: its named arguments.

        Raises:
            ConfigurationError: an option is unknown, wrong, or excludes another.
            InvalidMessage: the arguments do not fit, or AMQP cannot carry them.
            PublishError: the broker did not take it, or nobody knows.
        """
        merged = self._with(options, "apply_async")
        return self.registry.app.publish_encoded(
            self.encode(args, kwargs or {}), merged, ("apply_async", "aapply_async")
        )

    async def aapply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[LinkOptions],
    ) -> AsyncResult[R]:
        """`apply_async` for asyncio."""
        merged = self._with(options, "aapply_async")
        return await self.registry.app.apublish_encoded(self.encode(args, kwargs or {}), merged)

    def options(self, **options: Unpack[LinkOptions]) -> Task[P, R]:
        """The same task with these options (see ``LinkOptions``) for all that it publishes."""
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._options = self._with(options, "options")
        return view

    # ── for the layers around ─────────────────────────────────────────────────────────────────

    @property
    def app(self) -> PublishingApp:
        """The app that publishes for it; see `TaskSet.app` for what may be raised."""
        return self.registry.app

    @property
    def queue(self) -> str | None:
        """The queue that its message class or its ``@app.task`` names."""
        return self.info.queue

    @property
    def partition_key(self) -> str | None:
        """The field that its message class or its ``@app.task`` names for partitions."""
        return self.info.partition_key

    @property
    def version(self) -> int:
        """The version of its message class, or of its arguments."""
        return self.info.version

    @property
    def aliases(self) -> Sequence[str]:
        """Its former names."""
        return self.task_options.aliases

    @cached_property
    def info(self) -> MessageInfo:
        """What its message class says, or its ``@app.task`` in the function style."""
        message, options = self.parameters.message, self.task_options
        if message is not None:
            return message_info(message)
        key = options.partition_key
        return MessageInfo(self.name, options.queue, options.version or 1, partition_key=key)

    def upcast(self, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Register what turns the arguments of one version into those of the next::

            @app.task(version=2)
            def resize(url: str, width: int) -> None: ...

            @resize.upcast(1)
            def _(fields: dict[str, Any]) -> dict[str, Any]:
                return {"width": fields.pop("size"), **fields}

        A version without an upcaster is taken as it is; pydantic decides. A message class has its
        own: `TaskMessage.upcast`.

        Args:
            from_version: from 1 to the task's version - 1.

        Raises:
            ConfigurationError: no such version, or it has one already; or the task takes a
                message class.
        """
        message = self.parameters.message
        if message is not None:
            raise ConfigurationError(
                f"task {self.name!r}: its versions are those of class {message.__name__}; write "
                f"@{message.__name__}.upcast({from_version})"
            )
        return upcaster_of(self.info, from_version, self.__qualname__, "the task")

    @cached_property
    def arguments(self) -> Arguments:
        """The model of the function style.

        Raises:
            ConfigurationError: an annotation that pydantic cannot use.
        """
        return Arguments(self.name, self.parameters.arguments)

    @cached_property
    def body(self) -> Body:
        """How its messages are read; see `arguments` for what may be raised."""
        message = self.parameters.message
        if message is None:
            return ArgumentsBody(self.arguments, self.info)
        return MessageBody(message)

    @cached_property
    def call(self) -> Invocation:
        """How its function is called."""
        overrides = self.registry.overrides
        return Invocation(self.function, self.parameters, self._injector, overrides)

    @cached_property
    def values(self) -> Values:
        """How its results are written and read.

        Raises:
            ConfigurationError: its return annotation cannot be used.
        """
        return self._returns.values(f"task {self.name!r}")

    @cached_property
    def each(self) -> Values:
        """How lists of its results are written and read: those of ``map``; see `values`."""
        return self._returns.values(f"task {self.name!r}", each=True)

    @cached_property
    def filling(self) -> ArgumentBinder:
        """Which of its arguments a call fills."""
        return ArgumentBinder(self.name, self.parameters)

    @cached_property
    def taken_schema(self) -> schemas.Schema:
        """What it takes from the step before it in a chain."""
        return schemas.taken_schema(self.filling.taken)

    @cached_property
    def value_schema(self) -> schemas.Schema:
        """What it gives to the step after it."""
        return schemas.given_schema(self._returns.annotation)

    def warm(self) -> None:
        """Build all that publishing and running it need, and find what is wrong with it.

        Raises:
            ConfigurationError: see `arguments`.
        """
        _ = self.body
        self.call.warm()

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> EncodedMessage:
        """The message for these arguments.

        Raises:
            InvalidMessage: they do not fit.
        """
        cls = self.parameters.message
        if cls is None:
            values = self.arguments.bind(args, kwargs)
            body = dump_arguments(self.name, self.arguments, values)
            info = self.info
            return EncodedMessage(
                self.name, body, info.version, info.queue, values, info.partition_key
            )
        if len(args) != 1 or kwargs:
            raise InvalidMessage(f"{self.name}: takes one {cls.__name__} and nothing else")
        return encode_message(self._own(args[0], cls))

    def encode_fields(self, fields: Mapping[str, Any]) -> EncodedMessage:
        """The message with these fields (or arguments) by name.

        Raises:
            InvalidMessage: they do not fit.
        """
        cls = self.parameters.message
        if cls is None:
            return self.encode((), fields)
        from pydantic import ValidationError

        from rmqwork._messages.validation import explain

        try:
            return encode_message(cls.model_validate(dict(fields)))
        except ValidationError as error:
            raise InvalidMessage(f"{self.name}: {explain(error)}") from error

    def call_options(self, given: Mapping[str, Any], below: Mapping[str, Any]) -> CallOptions:
        """The options of a signature of this task.

        Args:
            given: its own; they go before all others.
            below: of what it is part of; the task's go before these.
        """
        if not below:
            return self._with(given, "Signature")
        where, now = f"task {self.name!r}, Signature", time.time()
        both = merge(parse(below, where, now), self._options.given, where, now)
        return merge(both, given, where, now)

    def _own(self, message: object, cls: type[TaskMessage]) -> TaskMessage:
        if type(message) is cls or isinstance(message, cls):
            return message
        if isinstance(message, TaskMessage) and message_info(message) is message_info(cls):
            self.body.load(dump_message(message), self.version)  # of other type parameters
            return message
        raise InvalidMessage(f"{self.name}: takes a {cls.__name__}, not a {type(message).__name__}")

    def _with(self, given: Mapping[str, Any], verb: str) -> CallOptions:
        if not given:
            return self._options
        return merge(self._options, given, f"task {self.name!r}, {verb}", time.time())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def __reduce__(self) -> str:
        return self.__qualname__  # by its place in its module, like a function


class AsyncTask(Task[P, R]):
    """A task whose function is ``async def``: calling it gives a coroutine to await."""

    def __call__(  # type: ignore[override]
        self, /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]:
        """Run the function here, on the caller's event loop."""
        call = self.call
        if not call.injects:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        return call.arun(self._context_here(), args, kwargs)
