"""Protocols of what workflows need from the layer above: an app that publishes, and its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rmqwork._canvas.schemas import Schema
    from rmqwork._config.settings import Settings
    from rmqwork._messages.encoded import EncodedMessage
    from rmqwork._messages.options import CallOptions
    from rmqwork._messages.routing import Route
    from rmqwork._messages.sealing import Seal
    from rmqwork._results.client import ResultClient
    from rmqwork._results.result import AsyncResult
    from rmqwork.types import Publication


class PublishingApp(Protocol):
    """An app, as far as it publishes calls and workflows."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def settings(self) -> Settings:
        """Its settings."""
        ...

    @property
    def seal(self) -> Seal | None:
        """Which messages are signed or encrypted."""
        ...

    @property
    def asking(self) -> ResultClient:
        """Its results."""
        ...

    def route(self, encoded: EncodedMessage, options: CallOptions) -> Route:
        """Where a message goes.

        Raises:
            ConfigurationError: a route leads nowhere.
        """
        ...

    def publish_encoded(
        self, encoded: EncodedMessage, options: CallOptions, verbs: tuple[str, str]
    ) -> AsyncResult[Any]:
        """Publish one message, and wait for its confirm.

        Args:
            encoded: the message.
            options: of the call.
            verbs: what was called, and its twin for asyncio.

        Raises:
            PublishError: it was not confirmed.
        """
        ...

    async def apublish_encoded(
        self, encoded: EncodedMessage, options: CallOptions
    ) -> AsyncResult[Any]:
        """`publish_encoded` for asyncio."""
        ...

    def send(self, publications: Sequence[Publication], timeout: float | None) -> None:
        """Publish what a workflow begins with, and wait for the confirms.

        Args:
            publications: in their order.
            timeout: seconds; None = ``publish_timeout``.

        Raises:
            PublishError: one was not confirmed.
        """
        ...

    async def asend(self, publications: Sequence[Publication], timeout: float | None) -> None:
        """`send` for asyncio."""
        ...


class CallFilling(Protocol):
    """Which of a task's arguments a call fills."""

    @property
    def into(self) -> str | None:
        """The argument that takes the value before a call; ``""``: the value is the whole
        message; None: there is none."""
        ...

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool) -> None:
        """See that a call fills what it must.

        Args:
            args: positional arguments.
            kwargs: named arguments.
            is_open: True if the first one is left to the value before it.

        Raises:
            InvalidMessage: it does not; the text names the arguments.
        """
        ...

    def fill(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], value: object
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The arguments of an open call with a value in front."""
        ...

    def given(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool
    ) -> tuple[dict[str, Any], bytes]:
        """The arguments of a call that may leave some out: by name, validated; and as JSON.

        Raises:
            InvalidMessage: one does not fit.
        """
        ...


class TaskLike(Protocol):
    """A task, as far as calls of it are made and published: one of this app, or known by name."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def version(self) -> int:
        """The version of its message class."""
        ...

    @property
    def queue(self) -> str | None:
        """The queue that its declaration names."""
        ...

    @property
    def partition_key(self) -> str | None:
        """The field that chooses a partition."""
        ...

    @property
    def app(self) -> PublishingApp:
        """The app that publishes for it.

        Raises:
            ConfigurationError: there is none, or more than one.
        """
        ...

    @property
    def filling(self) -> CallFilling:
        """Which of its arguments a call fills."""
        ...

    @property
    def taken_schema(self) -> Schema:
        """The JSON schema of what it takes from the step before it."""
        ...

    @property
    def value_schema(self) -> Schema:
        """The JSON schema of its value."""
        ...

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> EncodedMessage:
        """The message for these arguments.

        Raises:
            InvalidMessage: they do not fit.
        """
        ...

    def call_options(self, given: Mapping[str, Any], below: Mapping[str, Any]) -> CallOptions:
        """The options of a signature of this task.

        Args:
            given: its own; they go before all others.
            below: of what it is part of; the task's go before these.

        Raises:
            ConfigurationError: one is wrong.
        """
        ...
