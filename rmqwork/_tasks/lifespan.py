"""The app's lifespan: what one executor process sets up once and takes down at its end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

from rmqwork.errors import ConfigurationError

Opened = AbstractContextManager[Any] | AbstractAsyncContextManager[Any]


class Lifespan:
    """A function that gives a context manager, sync or async.

    Args:
        function: a generator function (sync or async) that yields once, or what gives a context
            manager; it takes the app, or nothing.

    Raises:
        ConfigurationError: it takes something else.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        required = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
        if len(required) > 1:
            raise ConfigurationError(
                f"lifespan {function.__qualname__}: it takes the app, or nothing"
            )
        self._takes_app = bool(required)
        self.name = getattr(function, "__qualname__", repr(function))
        if inspect.isasyncgenfunction(function):
            function = asynccontextmanager(function)
        elif inspect.isgeneratorfunction(function):
            function = contextmanager(function)
        self._function = function

    def open(self, app: object) -> Opened:
        """The context manager; its value is ``Context.state``. It has ``__aenter__`` or
        ``__enter__``.

        Raises:
            ConfigurationError: the function gave something else.
        """
        opened = self._function(app) if self._takes_app else self._function()
        if hasattr(opened, "__aenter__") or hasattr(opened, "__enter__"):
            return opened  # type: ignore[no-any-return]
        raise ConfigurationError(
            f"lifespan {self.name} gave {opened!r}; it yields once, or returns a context manager"
        )
