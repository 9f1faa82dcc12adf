"""The publishing verbs of an app, in their blocking and their async form."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rmqwork._canvas.links import LinkedOptions, parse
from rmqwork._canvas.signature import Composable, LinkOptions, Signature
from rmqwork._canvas.spec import Step
from rmqwork._config.cached import cached_property
from rmqwork._config.settings import Settings, load_settings
from rmqwork._messages import codec
from rmqwork._messages.encoded import EncodedMessage, encode_message
from rmqwork._messages.message import TaskMessage, check_task_name
from rmqwork._messages.options import CallOptions
from rmqwork._messages.routing import Route, Router
from rmqwork._publisher.sender import Sender, warn_on_loop
from rmqwork._results.client import ResultClient
from rmqwork._results.result import AsyncResult
from rmqwork._tasks.registry import TaskRegistry
from rmqwork._transport.port import PublishPort
from rmqwork.errors import ConfigurationError
from rmqwork.types import Publication

if TYPE_CHECKING:
    from typing import Unpack

    from rmqwork._messages.sealing import Seal

_CLOSE_TIMEOUT: Final = 30.0


class Publishing(TaskRegistry):
    """What can publish: a registry of tasks with a router, a sender and settings."""

    _arguments: Mapping[str, Any]
    _router: Router
    _sender: Sender
    seal: Seal | None = None
    """Which messages are signed or encrypted."""

    @cached_property
    def settings(self) -> Settings:
        """From arguments, ``RMQWORK_…`` variables and a file; read on first use.

        Raises:
            ConfigurationError: one is unknown or wrong.
        """
        return load_settings(self._arguments)

    def publish(self, message: TaskMessage, **options: Unpack[LinkOptions]) -> AsyncResult[object]:
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
        self, message: TaskMessage, **options: Unpack[LinkOptions]
    ) -> AsyncResult[object]:
        """`publish` for asyncio."""
        return await self.apublish_encoded(
            encode_message(message), self._options(options, "apublish")
        )

    def publish_many(
        self,
        messages: Iterable[TaskMessage | Signature[Any]],
        **options: Unpack[LinkOptions],
    ) -> list[AsyncResult[object]]:
        """Publish many messages or signatures, pipelined; returns when all are confirmed.

        All are checked and encoded before the first is sent.

        Raises:
            PublishError: its ``failures`` has the error of each id that was not confirmed.
        """
        warn_on_loop("publish_many", "apublish_many", 3)
        self.asking.begin(None)
        publications, results, timeout = self._compose_many(messages, options, "publish_many")
        self._sender.send_many(publications, timeout)
        return results

    async def apublish_many(
        self,
        messages: Iterable[TaskMessage | Signature[Any]],
        **options: Unpack[LinkOptions],
    ) -> list[AsyncResult[object]]:
        """`publish_many` for asyncio."""
        await self.asking.abegin(None)
        publications, results, timeout = self._compose_many(messages, options, "apublish_many")
        await self._sender.asend_many(publications, timeout)
        return results

    def send_task(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        *,
        version: int = 1,
        **options: Unpack[LinkOptions],
    ) -> AsyncResult[object]:
        """Publish by name; validated if the task is known here.

        Args:
            name: the task's.
            fields: of its message, or its arguments by name.
            version: of the fields, if the task is not known here.
            **options: see ``LinkOptions``.

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
        **options: Unpack[LinkOptions],
    ) -> AsyncResult[object]:
        """`send_task` for asyncio."""
        encoded = self._by_name(name, fields, version)
        return await self.apublish_encoded(encoded, self._options(options, "asend_task"))

    def publish_encoded(
        self, encoded: EncodedMessage, options: CallOptions, verbs: tuple[str, str]
    ) -> AsyncResult[Any]:
        """Publish what a task or a message has encoded; the one way for all blocking verbs.

        Args:
            encoded: the message.
            options: of the call.
            verbs: what was called, and its twin for asyncio.
        """
        warn_on_loop(*verbs)
        self.asking.begin(options.timeout)
        publication, result = self.compose(encoded, options)
        self._sender.send(publication, options.timeout or self.settings.publish_timeout)
        return result

    async def apublish_encoded(
        self, encoded: EncodedMessage, options: CallOptions
    ) -> AsyncResult[Any]:
        """`publish_encoded` for the async verbs."""
        await self.asking.abegin(options.timeout)
        publication, result = self.compose(encoded, options)
        await self._sender.asend(publication, options.timeout or self.settings.publish_timeout)
        return result

    def compose(
        self, encoded: EncodedMessage, options: CallOptions
    ) -> tuple[Publication, AsyncResult[Any]]:
        """Make the publication of a message, with its route and its properties, and its result."""
        route = self.route(encoded, options)
        linked = isinstance(options, LinkedOptions)  # its body may have to go into an envelope
        publication = codec.make_publication(
            encoded.name,
            encoded.body,
            route,
            options,
            now=time.time(),
            app_id=self.name,
            version=encoded.version,
            max_size=self.settings.max_message_size,
            reply_to=self.asking.reply_to(encoded.name),
            compress_above=None if linked else self.settings.compress_above,
        )
        if self.seal is not None:
            if linked and self.seal.seals(encoded.name):
                raise self.seal.alone(encoded.name)
            publication = self.seal.close(publication)
        if not isinstance(options, LinkedOptions):
            return publication, self.asking.result(publication)
        from rmqwork._canvas.publishing import attach_links

        publication, workflow, children = attach_links(self, publication, options)  # pyright: ignore[reportArgumentType]
        result = self.asking.result(publication)
        result.workflow, result.children = workflow, children
        return publication, result

    def route(self, encoded: EncodedMessage, options: CallOptions) -> Route:
        """Where a message goes."""
        return self._router.resolve(
            encoded.name, encoded.queue, encoded.value, options, encoded.partition_key
        )

    def send(self, publications: Sequence[Publication], timeout: float | None) -> None:
        """Publish what a workflow begins with, and wait for the confirms.

        Args:
            publications: in their order.
            timeout: seconds; None = ``publish_timeout``.

        Raises:
            PublishError: one was not confirmed.
        """
        timeout = timeout or self.settings.publish_timeout
        if len(publications) == 1:
            self._sender.send(publications[0], timeout)
        else:
            self._sender.send_many(publications, timeout)

    async def asend(self, publications: Sequence[Publication], timeout: float | None) -> None:
        """`send` for asyncio."""
        timeout = timeout or self.settings.publish_timeout
        if len(publications) == 1:
            await self._sender.asend(publications[0], timeout)
        else:
            await self._sender.asend_many(publications, timeout)

    @property
    def publishes_in_worker(self) -> bool:
        """Whether this process runs tasks, and publishes through its worker's connection."""
        return self._sender.in_worker

    def use_publisher(self, port: PublishPort | None) -> None:
        """Publish by this port in this process: in executors the pipe to the worker, in tests a
        fake. None = by a connection of the app's own."""
        self._sender.use(port)

    def close(self, timeout: float = _CLOSE_TIMEOUT) -> int:
        """Flush what was published and disconnect; returns how many were not confirmed.

        Args:
            timeout: seconds to wait for confirms.
        """
        left = self._sender.close(timeout)
        self.asking.close()
        return left

    def result(self, task_id: str, task: str = "") -> AsyncResult[Any]:
        """The result of a task that was published somewhere, some time.

        Args:
            task_id: the id of its message.
            task: its name; with it, the value is of the type that the task returns.

        Raises:
            ResultsDisabled: the app keeps no results; or, with ``rpc://``, another process has
                published the task.
        """
        return self.asking.result_of(task_id, task)

    def revoke(
        self,
        ids: str | AsyncResult[Any] | Iterable[str | AsyncResult[Any]] = (),
        *,
        workflow: str | Iterable[str] = (),
        terminate: bool = False,
        undo: bool = False,
    ) -> None:
        """Have tasks not run, or not run on: they are dead-lettered as ``revoked``.

        Returns when the broker has it; workers that start later know of it, too. What waits is
        dropped when its turn comes, what is delayed when it returns. What runs is cancelled if it
        is a coroutine or isolated.

        Args:
            ids: of tasks, or their results.
            workflow: ids of workflows, all of whose tasks are meant.
            terminate: kill the process of what runs in a thread, too; the other tasks in that
                process run again.
            undo: take back that these were revoked; what was dropped stays so.

        Raises:
            ConfigurationError: no ids, or this user may not do it.
            PublishError: the broker did not take it.
        """
        from rmqwork._tasks import revoking

        warn_on_loop("revoke", "arevoke", 3)
        commands = revoking.revocations(ids, workflow, terminate, undo)
        revoking.publish(self.port, commands, self.name, self.settings)

    async def arevoke(
        self,
        ids: str | AsyncResult[Any] | Iterable[str | AsyncResult[Any]] = (),
        *,
        workflow: str | Iterable[str] = (),
        terminate: bool = False,
        undo: bool = False,
    ) -> None:
        """`revoke` for asyncio."""
        from rmqwork._tasks import revoking

        commands = revoking.revocations(ids, workflow, terminate, undo)
        await revoking.apublish(self.port, commands, self.name, self.settings)

    @property
    def port(self) -> PublishPort:
        """Where what is no task's message is published, without the middleware."""
        return self._sender.port

    def signature(
        self,
        what: str | TaskMessage,
        fields: Mapping[str, Any] | None = None,
        *,
        into: str | None = None,
        immutable: bool = False,
        version: int = 1,
    ) -> Any:
        """A signature of a task that need not be known here, or the one of its JSON::

            app.signature(ResizeImage(url=url, width=64)) | app.signature("images.store", into="")
            app.signature(text)                 # what signature.to_json() gave

        Args:
            what: a message, a task's name, or JSON.
            fields: of the task's message, or its arguments by name.
            into: which field takes the value before it in a chain; ``""``: the value is the whole
                message. None: it is open only if the task is known here.
            immutable: whether it takes nothing from a task before it.
            version: of the fields, if the task is not known here.

        Returns:
            a `Signature`, an `Immutable` or a `Partial`.

        Raises:
            InvalidMessage: it is no signature, or the fields do not fit.
        """
        from rmqwork._canvas.signature import wrap
        from rmqwork._tasks import signature_reading as reading

        if isinstance(what, str) and what.lstrip().startswith("{"):
            return wrap(reading.load(self, what))
        if isinstance(what, TaskMessage):
            return wrap(reading.of_message(self, what, immutable))
        name = check_task_name(what, f"App {self.name!r}, signature")
        return wrap(reading.of_name(self, name, fields or {}, into, immutable, version))

    @cached_property
    def asking(self) -> ResultClient:
        """How this app asks for results."""
        return ResultClient(self)  # pyright: ignore[reportArgumentType]

    def _options(self, given: Mapping[str, Any], verb: str) -> CallOptions:
        return parse(given, f"App {self.name!r}, {verb}", time.time())

    def _by_name(self, name: str, fields: Mapping[str, Any] | None, version: int) -> EncodedMessage:
        fields = codec.check_fields(name, fields)
        task = self.tasks.get(name)
        if task is not None:
            return task.encode_fields(fields)
        check_task_name(name, f"App {self.name!r}, send_task")
        return EncodedMessage(name, codec.dump_fields(name, fields), version, None, fields)

    def _compose_many(
        self, messages: Iterable[TaskMessage | Signature[Any]], given: Mapping[str, Any], verb: str
    ) -> tuple[list[Publication], list[AsyncResult[object]], float]:
        if given.get("task_id") is not None:
            raise ConfigurationError(f"App {self.name!r}, {verb}: many messages take no task_id")
        if isinstance(messages, (TaskMessage, Composable)):
            raise ConfigurationError(f"App {self.name!r}, {verb}: takes a list; put it in one")
        options = self._options(given, verb)
        publications: list[Publication] = []
        results: list[AsyncResult[object]] = []
        for message in messages:
            if isinstance(message, Composable):
                work = message.work
                if not isinstance(work, Step) or work.items is not None or work.is_open:
                    from rmqwork._canvas.publishing import compose_workflow

                    begin, result = compose_workflow(self, work, given)  # pyright: ignore[reportArgumentType]
                    publications += begin
                    results.append(result)
                    continue
                encoded = work.task.encode(work.args, work.kwargs)
                mine = work.task.call_options(work.options, given)
            else:
                encoded, mine = encode_message(message), options
            publication, result = self.compose(encoded, mine)
            publications.append(publication)
            results.append(result)
        return publications, results, options.timeout or self.settings.publish_timeout
