"""A message and its body and properties on the wire (section "wire format" of the docs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from rmqwork._messages import headers
from rmqwork._messages.compression import ZSTD, compress, decompress
from rmqwork._messages.ids import uuid7
from rmqwork._messages.message import MessageInfo, TaskMessage, message_info
from rmqwork._messages.options import CallOptions, size_of
from rmqwork._messages.routing import Route
from rmqwork._messages.validation import explain, shortened
from rmqwork.errors import InvalidMessage, UnknownTask
from rmqwork.types import Publication

JSON: Final = "application/json"
MAX_MESSAGE_SIZE: Final = 16 * 1024 * 1024
"""Bytes of a body that RabbitMQ takes by default (``max_message_size``, since 4.0)."""


class Body(Protocol):
    """The shape of a task's messages: a message class, or a function's arguments."""

    @property
    def version(self) -> int:
        """The version of its fields."""
        ...

    def load(self, body: bytes, version: int) -> Any:
        """The message (or the arguments by name) of a body.

        Raises:
            InvalidMessage: it does not fit, with a short text.
            UnknownTask: its version is newer than known here.
        """
        ...

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its bodies, for producers in other languages."""
        ...


class MessageBody:
    """Bodies of a `TaskMessage` class.

    Args:
        cls: the class, or a parametrised generic of it.
    """

    def __init__(self, cls: type[TaskMessage]) -> None:
        self._cls = cls
        self._info = message_info(cls)

    @property
    def version(self) -> int:
        """The version of the class."""
        return self._info.version

    def load(self, body: bytes, version: int) -> TaskMessage:
        """The message of a body; see `Body.load`."""
        info = self._info
        try:
            if version != info.version:
                body = upcast(info, body, version)
            message: TaskMessage = self._cls.__pydantic_validator__.validate_json(body)
        except ValidationError as error:
            raise InvalidMessage(explain(error)) from error
        except (InvalidMessage, UnknownTask):
            raise
        except Exception as error:  # a validator or an upcaster of the application
            raise InvalidMessage(shortened(f"{type(error).__name__}: {error}")) from error
        return message

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its bodies."""
        return self._cls.model_json_schema()


def upcast(info: MessageInfo, body: bytes, version: int) -> bytes:
    """A body of an older version brought up to date, as far as there are upcasters.

    Raises:
        InvalidMessage: not a JSON object, or an upcaster made none of it.
        UnknownTask: the version is newer than known.
    """
    if version > info.version:
        raise UnknownTask(
            f"version {version} of {info.name!r} is newer than the one known here, {info.version}"
        )
    if version < 1:
        raise InvalidMessage(f"there is no version {version}")
    steps = [info.upcasters[n] for n in range(version, info.version) if n in info.upcasters]
    if not steps:
        return body
    try:
        fields = from_json(body)
    except ValueError as error:
        raise InvalidMessage(f"Invalid JSON: {error}") from error
    for step in steps:
        if not isinstance(fields, dict):
            raise InvalidMessage(f"the fields are {type(fields).__name__}, not an object")
        fields = step(fields)
    return to_json(fields, bytes_mode="base64", inf_nan_mode="strings")


def dump_message(message: TaskMessage) -> bytes:
    """The body of a message.

    Raises:
        InvalidMessage: a field's value cannot be written as JSON.
    """
    try:
        return message.__pydantic_serializer__.to_json(message, by_alias=True, round_trip=True)
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidMessage(f"{message_info(message).name}: {shortened(str(error))}") from error


def dump_fields(name: str, fields: Mapping[str, Any]) -> bytes:
    """The body of a task whose model is not known here.

    Raises:
        InvalidMessage: a value cannot be written as JSON.
    """
    checked = dict(check_fields(name, fields))
    try:
        return to_json(checked, bytes_mode="base64", inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidMessage(f"{name}: {shortened(str(error))}") from error


def check_fields(name: str, fields: object) -> Mapping[str, Any]:
    """The fields of a task by name; None = none.

    Raises:
        InvalidMessage: they are no mapping of names.
    """
    if fields is None:
        return {}
    if not isinstance(fields, Mapping):
        raise InvalidMessage(
            f"{name}: a body is an object of fields, not {shortened(repr(fields))}"
        )
    for key in fields:
        if not isinstance(key, str):
            raise InvalidMessage(f"{name}: a field's name is a text, not {shortened(repr(key))}")
    return fields


def make_publication(
    name: str,
    body: bytes,
    route: Route,
    options: CallOptions,
    *,
    now: float,
    app_id: str | None,
    version: int = 1,
    max_size: int = MAX_MESSAGE_SIZE,
    reply_to: str | None = None,
    compress_above: int | None = None,
) -> Publication:
    """Make the publication of a task's message.

    Args:
        name: the task's.
        body: its JSON.
        route: where it goes.
        options: of the call.
        now: seconds since the epoch.
        app_id: the app's name.
        version: of the message class; only others than 1 are written.
        max_size: bytes of a body at most.
        reply_to: the queue that wants its result.
        compress_above: bytes above which the body is compressed; None = it never is.

    Raises:
        InvalidMessage: the body is too large, or a property cannot be carried.
    """
    encoding = None
    if compress_above is not None and len(body) > compress_above:
        body, encoding = compress(body), ZSTD
    _check_size(name, body, max_size)
    extra: dict[str, object] = dict(options.headers)
    if version != 1:
        extra[headers.VERSION] = version
    expiry = options.expiry(now)
    if expiry is not None:
        extra[headers.EXPIRES_AT] = int(expiry * 1000)
    if options.task_id is not None:
        extra[headers.RUN] = uuid7()
    task_id = options.task_id or uuid7()
    return Publication(
        exchange=route.exchange,
        routing_key=route.routing_key,
        body=body,
        message_id=task_id,
        type=name,
        headers=extra,
        due=options.due(now),
        priority=options.priority,
        content_encoding=encoding,
        correlation_id=task_id if reply_to else None,
        reply_to=reply_to,
        timestamp=int(now),
        app_id=app_id,
    )


def _check_size(name: str, body: bytes, most: int) -> None:
    if len(body) > most:
        raise InvalidMessage(
            f"{name}: its body takes {len(body):,} bytes, and the broker takes {most:,}; store the "
            "data elsewhere and send a reference, or raise max_message_size here and in "
            "rabbitmq.conf"
        )


def plain_body(body: bytes, content_type: str | None, content_encoding: str | None) -> bytes:
    """The JSON of a body, decompressed if it is compressed.

    Raises:
        InvalidMessage: it is something else.
    """
    encoding = content_encoding.lower() if content_encoding else ""
    if encoding not in ("", "identity", "utf-8", ZSTD):
        raise InvalidMessage(
            f"content_encoding {shortened(encoding)!r} is not known here; send plain JSON, or zstd"
        )
    if content_type and content_type.partition(";")[0].strip().lower() != JSON:
        raise InvalidMessage(f"content_type {shortened(content_type)!r} is not {JSON}")
    return decompress(body) if encoding == ZSTD else body


def version_of(value: object) -> int:
    """The version that a message's header says; absent = 1.

    Raises:
        InvalidMessage: it is no number.
    """
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidMessage(f"header {headers.VERSION} is {shortened(repr(value))}, not a number")
    return value


def check_app_name(name: str) -> None:
    """An app's name travels in a property of at most 255 bytes.

    Raises:
        InvalidMessage: it does not fit.
    """
    if size_of(name, "name", "App") > 255:
        raise InvalidMessage("App: the name is longer than 255 bytes")
