"""The message model that is made from the parameters of a function."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final, NotRequired

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic_core import CoreConfig, PydanticSerializationError, SchemaSerializer
from typing_extensions import TypedDict

from rmqwork._messages.codec import upcast
from rmqwork._messages.message import MessageInfo, TaskMessage, hidden_in
from rmqwork._messages.validation import explain, shortened
from rmqwork._tasks.parameters import Argument
from rmqwork.errors import ConfigurationError, InvalidMessage, UnknownTask

_ROOT: Final = CoreConfig(ser_json_bytes="base64", ser_json_inf_nan="strings")
"""As in `TaskMessage`."""


class Arguments:
    """The arguments of a function, by name, as the body of a message.

    A `TypedDict` and not a model, so that parameters may have any name (``json``, ``copy``,
    ``model_x``, ``_x``). What a call leaves out is left out of the body: the default is that of
    the worker's function.

    Args:
        name: the task's.
        arguments: of its function.

    Raises:
        ConfigurationError: an annotation that pydantic cannot use, with the parameter's name.
    """

    def __init__(self, name: str, arguments: Sequence[Argument]) -> None:
        self._name = name
        self._arguments = {argument.name: argument for argument in arguments}
        self._positional = [
            argument.name
            for argument in arguments
            if argument.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        adapter = self._build(arguments)
        self._validator = adapter.validator
        # A serializer has one configuration, that of its root, and a TypedDict brings none there.
        self._serializer = SchemaSerializer(adapter.core_schema, _ROOT)

    def _build(self, arguments: Sequence[Argument]) -> TypeAdapter[dict[str, Any]]:
        for argument in arguments:
            if secret := hidden_in(argument.annotation):
                raise ConfigurationError(
                    f"task {self._name!r}: parameter {argument.name!r} is a {secret}, of which "
                    "only asterisks would be published; send a reference"
                )
        try:
            return _adapter(arguments)
        except Exception as error:
            for argument in arguments:
                try:
                    _adapter([argument])
                except (PydanticUserError, PydanticUndefinedAnnotation, TypeError) as why:
                    raise ConfigurationError(
                        f"task {self._name!r}: parameter {argument.name!r}: its annotation "
                        f"{argument.annotation!r} cannot be validated: {_first_line(why)}"
                    ) from why
            raise ConfigurationError(
                f"task {self._name!r}: its parameters cannot be validated: {_first_line(error)}"
            ) from error

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, validated.

        Raises:
            InvalidMessage: they do not fit the function.
        """
        names = self._positional
        if len(args) > len(names):
            raise InvalidMessage(
                f"{self._name}: takes {len(names)} positional arguments, {len(args)} were given"
            )
        values = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name in values:
                raise InvalidMessage(f"{self._name}: {name} is given twice")
            values[name] = value
        return self.validate(values)

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, validated.

        Raises:
            InvalidMessage: they do not fit the function.
        """
        try:
            return self._validator.validate_python(values)  # type: ignore[no-any-return]
        except ValidationError as error:
            raise InvalidMessage(f"{self._name}: {explain(error)}") from error

    def dump(self, values: dict[str, Any]) -> bytes:
        """The body for validated arguments."""
        return self._serializer.to_json(values, by_alias=True, round_trip=True)

    def load(self, body: bytes) -> dict[str, Any]:
        """The arguments of a body.

        Raises:
            ValidationError: they do not fit.
        """
        return self._validator.validate_json(body)  # type: ignore[no-any-return]

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a body."""
        return _adapter(tuple(self._arguments.values())).json_schema()


class ArgumentsBody:
    """Bodies made from the parameters of a function.

    Args:
        arguments: its model.
        info: the version of the arguments, and what brings older ones up to date.
    """

    def __init__(self, arguments: Arguments, info: MessageInfo) -> None:
        self._arguments = arguments
        self._info = info

    @property
    def version(self) -> int:
        """The version of the arguments."""
        return self._info.version

    def load(self, body: bytes, version: int) -> dict[str, Any]:
        """The arguments of a body; see `Body.load`."""
        try:
            if version != self._info.version:
                body = upcast(self._info, body, version)
            return self._arguments.load(body)
        except ValidationError as error:
            raise InvalidMessage(explain(error)) from error
        except (InvalidMessage, UnknownTask):
            raise
        except Exception as error:  # a validator or an upcaster of the application
            raise InvalidMessage(shortened(f"{type(error).__name__}: {error}")) from error

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its bodies."""
        return self._arguments.schema()


def dump_arguments(name: str, arguments: Arguments, values: dict[str, Any]) -> bytes:
    """The body of a function's validated arguments.

    Raises:
        InvalidMessage: a value cannot be written as JSON.
    """
    try:
        return arguments.dump(values)
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidMessage(f"{name}: {shortened(str(error))}") from error


def _adapter(arguments: Sequence[Argument]) -> TypeAdapter[dict[str, Any]]:
    fields = {
        argument.name: argument.annotation
        if argument.required
        else NotRequired[argument.annotation]
        for argument in arguments
    }
    shape = TypedDict("shape", fields)  # type: ignore[misc]
    shape.__pydantic_config__ = TaskMessage.model_config  # type: ignore[attr-defined]
    return TypeAdapter(shape)  # type: ignore[arg-type]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
