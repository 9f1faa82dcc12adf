"""The value that a task returns, written and read by its return annotation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import CoreConfig, SchemaSerializer
from typing_extensions import TypedDict

from rmqwork._messages.annotations import resolve_hint
from rmqwork._messages.message import TaskMessage, hidden_in
from rmqwork._messages.validation import explain
from rmqwork.errors import ConfigurationError, InvalidMessage

_ROOT: Final = CoreConfig(ser_json_bytes="base64", ser_json_inf_nan="constants")
"""As in `TaskMessage`; but nan and inf are no texts, which would stay texts where the next step's
annotation is ``Any``. Python's `json` and pydantic read the words."""
_CONFIG: Final = ConfigDict(**{**TaskMessage.model_config, "extra": "ignore"})


class Values:
    """How the values of one return annotation are written and read.

    Args:
        where: the task, for errors.
        annotation: `typing.Any` for a function that has none.

    Raises:
        ConfigurationError: pydantic cannot use it.
    """

    def __init__(self, where: str, annotation: Any) -> None:
        self._where = where
        if secret := hidden_in(annotation):
            raise ConfigurationError(
                f"{where}: it returns a {secret}, of which only asterisks would be kept; return a "
                "reference, or declare the task with ignore_result=True"
            )
        fields = {"result": annotation}
        shape = TypedDict("shape", fields)  # type: ignore[misc]
        shape.__pydantic_config__ = _CONFIG  # type: ignore[attr-defined]
        try:
            adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(shape)  # type: ignore[arg-type]
        except Exception as error:
            raise ConfigurationError(
                f"{where}: its return annotation {annotation!r} cannot be used for results: "
                f"{str(error).partition(chr(10))[0]}; return what pydantic knows, or declare the "
                "task with ignore_result=True"
            ) from error
        self._validator = adapter.validator
        self._serializer = SchemaSerializer(adapter.core_schema, _ROOT)

    def dump(self, value: object) -> bytes:
        """``{"result":…}``.

        Raises:
            ValueError: the value is not of the annotated type, or cannot be written as JSON.
        """
        return self._serializer.to_json({"result": value}, by_alias=True, warnings="error")

    def load(self, body: bytes) -> Any:
        """The value of a record.

        Raises:
            InvalidMessage: it is not of the annotated type.
        """
        try:
            return self._validator.validate_json(body)["result"]
        except ValidationError as error:
            raise InvalidMessage(
                f"{self._where}: its result is not of the annotated type: {explain(error)}"
            ) from error


class Returns:
    """The return annotation of a function, resolved when the task is made, and used when asked.

    Args:
        function: the task's.
        localns: the names of the function around it, if there is one.
    """

    def __init__(self, function: Callable[..., Any], localns: Mapping[str, Any] | None) -> None:
        self._annotation: Any = Any
        self._problem = ""
        try:
            annotation = inspect.signature(function).return_annotation
            parameter = inspect.Parameter(
                "returned", inspect.Parameter.KEYWORD_ONLY, annotation=annotation
            )
            self._annotation = resolve_hint(function, parameter, localns)
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"
        if self._annotation is inspect.Parameter.empty:
            self._annotation = Any

    @property
    def annotation(self) -> Any:
        """It, resolved; `typing.Any` if there is none, or if it cannot be."""
        return self._annotation

    def values(self, where: str, *, each: bool = False) -> Values:
        """How values of it are written and read.

        Args:
            where: the task, for errors.
            each: whether there is a list of them.

        Raises:
            ConfigurationError: it cannot be resolved, or pydantic cannot use it.
        """
        if self._problem:
            raise ConfigurationError(
                f"{where}: its return annotation cannot be used for results ({self._problem}); "
                "import or define the type before the task, or use ignore_result=True"
            )
        annotation: Any = self._annotation
        return Values(where, GenericAlias(list, annotation) if each else annotation)


ANYTHING: Final = Values("task", Any)
"""For tasks that are not known here: plain JSON."""
