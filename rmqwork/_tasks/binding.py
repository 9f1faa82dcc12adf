"""Which arguments of a task a call fills, and which one is left to the value before it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rmqwork._config.cached import cached_property
from rmqwork._tasks.arguments import Arguments, dump_arguments
from rmqwork.errors import InvalidMessage

if TYPE_CHECKING:
    from rmqwork._tasks.parameters import Parameters


class ArgumentBinder:
    """The arguments of one task, as calls of it fill them.

    Args:
        name: the task's.
        parameters: of its function.
    """

    def __init__(self, name: str, parameters: Parameters) -> None:
        self.name = name
        self._parameters = parameters
        self._all = [argument.name for argument in parameters.arguments]
        self._positional = [
            argument.name
            for argument in parameters.arguments
            if argument.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        self._required = [argument.name for argument in parameters.arguments if argument.required]
        self._whole = parameters.message is None and len(self._positional) == len(self._all)

    @property
    def into(self) -> str | None:
        """The argument that takes the value before a call; ``""``: the value is the whole
        message; None: there is none."""
        if self._parameters.message is not None:
            return ""
        return self._positional[0] if self._positional else None

    @property
    def taken(self) -> Any:
        """The annotation of what the value before a call becomes."""
        message = self._parameters.message
        if message is not None:
            return message
        return next(a.annotation for a in self._parameters.arguments if a.name == self.into)

    def is_open(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether a call leaves its first argument, and nothing else, to the value before it.

        Raises:
            InvalidMessage: it fits neither with nor without such a value.
        """
        if self._whole and not kwargs and len(args) == len(self._all):
            return False
        problem = self.problem(args, kwargs, is_open=False)
        if problem is None:
            return False
        if self.problem(args, kwargs, is_open=True) is None:
            return True
        raise InvalidMessage(f"{self.name}: {problem}")

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool) -> None:
        """See that a call fills what it must.

        Args:
            args: positional arguments.
            kwargs: named arguments.
            is_open: whether the first one is left to the value before it.

        Raises:
            InvalidMessage: it does not; the text names the arguments.
        """
        problem = self.problem(args, kwargs, is_open=is_open)
        if problem is not None:
            raise InvalidMessage(f"{self.name}: {problem}")

    def problem(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool
    ) -> str | None:
        """What is wrong with a call; None: nothing. See `check`."""
        message = self._parameters.message
        if message is not None:
            if kwargs or len(args) != (0 if is_open else 1):
                more = ", which is left to the value before it" if is_open else ""
                return f"takes one {message.__name__} and nothing else{more}"
            return None
        if is_open and not self._positional:
            return "has no positional argument that could take a value; use si()"
        room = len(self._positional) - is_open
        if len(args) > room:
            before = " after the value before it" if is_open else ""
            return f"takes {room} positional arguments{before}, {len(args)} were given"
        filled = self._positional[: len(args) + is_open]
        return self._named_problem(filled, kwargs, is_open)

    def _named_problem(
        self, filled: Collection[str], kwargs: Mapping[str, Any], is_open: bool
    ) -> str | None:
        for name in kwargs:
            if name in filled:
                first = is_open and name == self.into
                return f"{name} is given twice" + (
                    ": the value before it becomes its first argument" if first else ""
                )
            if name not in self._all:
                return f"{name}: there is no such argument; there are {', '.join(self._all)}"
        missing = [name for name in self._required if name not in filled and name not in kwargs]
        if missing:
            return f"{', '.join(missing)}: Field required"
        return None

    def by_name(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool
    ) -> dict[str, Any]:
        """The arguments of a call of the function style by name, positional ones first."""
        return {**dict(zip(self.order(is_open=is_open), args, strict=False)), **kwargs}

    def order(self, *, is_open: bool) -> Sequence[str]:
        """The arguments that a call may give without their names."""
        return self._positional[1:] if is_open else self._positional

    def fill(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], value: object
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The arguments of an open call with a value in front."""
        return (value, *args), kwargs

    def given(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool
    ) -> tuple[dict[str, Any], bytes]:
        """The arguments of a call that may leave some out: by name, validated; and as JSON.

        Raises:
            InvalidMessage: one does not fit.
        """
        if self._parameters.message is not None:
            return {}, b"{}"
        found = self._some.validate(self.by_name(args, kwargs, is_open=is_open))
        return found, dump_arguments(self.name, self._some, found)

    def load(self, body: bytes) -> dict[str, Any]:
        """Some of the arguments of the function style from JSON.

        Raises:
            ValidationError: one does not fit.
        """
        return self._some.load(body)

    @cached_property
    def _some(self) -> Arguments:
        """The model of the arguments with none required."""
        return Arguments(
            self.name, [replace(argument, default=None) for argument in self._parameters.arguments]
        )
