"""What a task's function takes: its message or its arguments, the context, dependencies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo

from rmqwork._messages.annotations import resolve_hint
from rmqwork._messages.message import TaskMessage, message_info
from rmqwork._tasks.dependencies import dependant_of, is_context
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from fast_depends.dependencies import Dependant

_Kind = inspect._ParameterKind


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of the function style that callers fill.

    Args:
        name: as in the function, and in the body.
        annotation: its type.
        kind: as `inspect` has it.
        default: `inspect.Parameter.empty` when it is required.
    """

    name: str
    annotation: Any
    kind: _Kind
    default: Any

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a task's function, sorted by who fills them.

    Args:
        message: the class of the message style; None in the function style.
        arguments: of the function style.
        context: the name of the parameter for the `Context`, if there is one.
        dependants: the parameters with a `Depends`.
        is_async: whether the function is ``async def``.
    """

    message: type[TaskMessage] | None
    arguments: tuple[Argument, ...]
    context: str | None
    dependants: Mapping[str, Dependant]
    is_async: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what a message carries: the fields of its class, or the arguments."""
        if self.message is not None:
            return tuple(self.message.model_fields)
        return tuple(argument.name for argument in self.arguments)


def parameters_of(
    function: Callable[..., Any], where: str, localns: Mapping[str, Any] | None
) -> Parameters:
    """Read a function's signature.

    Args:
        function: sync or async.
        where: the task, for errors.
        localns: the names of the function in which it was defined, if it was.

    Raises:
        ConfigurationError: it cannot be a task; the text names the parameter.
    """
    _check_function(function, where)
    message: type[TaskMessage] | None = None
    arguments: list[Argument] = []
    context: str | None = None
    dependants: dict[str, Dependant] = {}
    for index, parameter in enumerate(_signature(function, where).parameters.values()):
        here = f"{where}: parameter {parameter.name!r}"
        annotation = _annotation(function, parameter, localns, here)
        dependant = dependant_of(parameter, annotation)
        if dependant is not None:
            _check_injected(parameter, here)
            dependants[parameter.name] = dependant
        elif is_context(annotation):
            if context is not None or (message is None and index > 0):
                raise ConfigurationError(
                    f"{here}: there is one Context, and it is the first parameter (the second, "
                    "after a TaskMessage)"
                )
            if message is not None:
                _check_injected(parameter, here)
            context = parameter.name
        elif index == 0 and _is_message(annotation):
            message = annotation
            message_info(annotation)
        elif message is not None:
            _check_left(parameter, here)
        else:
            arguments.append(_argument(parameter, annotation, here))
    if context is not None and len(arguments) == 1 and _is_message(arguments[0].annotation):
        raise ConfigurationError(f"{where}: put the message first, and the Context after it")
    is_async = _is_async(function)
    return Parameters(message, tuple(arguments), context, dependants, is_async)


def _signature(function: Callable[..., Any], where: str) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (NameError, TypeError, ValueError) as error:  # NameError: annotations since Python 3.14
        raise ConfigurationError(
            f"{where}: its signature cannot be read ({type(error).__name__}: {error})"
        ) from error


def _is_message(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, TaskMessage)


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    called = function if inspect.isroutine(function) else type(function).__call__
    return inspect.iscoroutinefunction(called)


def _check_function(function: Callable[..., Any], where: str) -> None:
    if isinstance(function, type) or not callable(function):
        raise ConfigurationError(f"{where}: a task is a function, not {function!r}")
    inner = inspect.unwrap(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise ConfigurationError(
            f"{where} is a generator; a task returns its result, and starts others with delay()"
        )


def _annotation(
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    localns: Mapping[str, Any] | None,
    here: str,
) -> Any:
    if dependant_of(parameter, None) is not None:
        return None  # whatever it says, the dependency fills it
    try:
        annotation = resolve_hint(function, parameter, localns)
    except Exception as error:
        raise ConfigurationError(
            f"{here}: its annotation {parameter.annotation!r} cannot be used "
            f"({type(error).__name__}: {error}); import or define the type before the task, "
            "outside of `if TYPE_CHECKING`"
        ) from error
    if annotation is parameter.empty:
        hint = " (methods cannot be tasks)" if parameter.name in ("self", "cls") else ""
        raise ConfigurationError(f"{here} has no annotation{hint}; its type is what is validated")
    return annotation


def _check_injected(parameter: inspect.Parameter, here: str) -> None:
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise ConfigurationError(f"{here} is injected and positional-only; move it behind '/'")


def _check_left(parameter: inspect.Parameter, here: str) -> None:
    """A parameter after the message that nothing fills."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ConfigurationError(f"{here}: a task takes no *args and no **kwargs")
    if parameter.default is parameter.empty:
        raise ConfigurationError(
            f"{here}: what follows the message is injected; annotate it with Context, give it a "
            "Depends(...), or make it a field of the message"
        )


def _argument(parameter: inspect.Parameter, annotation: Any, here: str) -> Argument:
    if parameter.kind is parameter.VAR_POSITIONAL:
        raise ConfigurationError(
            f"{here}: a message has its arguments by name, so a task takes no *args; take a list"
        )
    if parameter.kind is parameter.VAR_KEYWORD:
        raise ConfigurationError(
            f"{here}: a message with an argument that nobody knows is invalid, so a task takes no "
            "**kwargs; take a dict"
        )
    if isinstance(parameter.default, FieldInfo):
        raise ConfigurationError(f"{here}: write Annotated[…, Field(…)] instead of = Field(…)")
    return Argument(parameter.name, annotation, parameter.kind, parameter.default)
