"""Calling a task's function with what is injected: the context and the dependencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from rmqwork._tasks.context import Context
from rmqwork._tasks.dependencies import Injector, Overrides
from rmqwork._tasks.parameters import Parameters


class Invocation:
    """A task's function, ready to be called.

    Args:
        function: the task's.
        parameters: of the function.
        injector: for its dependencies, if it has any.
        overrides: of the app, for dependencies that tests replace.
    """

    __slots__ = ("_context", "_function", "_injector", "_overrides", "injects")

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Parameters,
        injector: Injector | None,
        overrides: Overrides,
    ) -> None:
        self._function = function
        self._injector = injector
        self._overrides = overrides
        # The context is the first parameter of the function style; after a message it has a name.
        first = parameters.context is not None and parameters.message is None
        self._context = "" if first else parameters.context
        self.injects = injector is not None or parameters.context is not None

    def warm(self) -> None:
        """Do what the first call would do beforehand: once in the template, not in each fork."""
        if self._injector is not None:
            self._injector.warm(self._overrides.provider)

    def run(self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call a sync function; ends its dependencies before it returns or raises.

        An exception of the task is raised even if a dependency has swallowed it.
        """
        args, kwargs = self._with_context(ctx, args, kwargs)
        if self._injector is None:
            return self._function(*args, **kwargs)
        failure: BaseException | None = None
        with ExitStack() as stack:
            values = self._injector.solve(ctx, stack, self._overrides.provider, kwargs)
            try:
                result = self._function(*args, **values, **kwargs)
            except BaseException as error:
                failure = error
                raise
        if failure is not None:
            raise failure
        return result

    async def arun(self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """`run` for an async function."""
        args, kwargs = self._with_context(ctx, args, kwargs)
        if self._injector is None:
            return await self._function(*args, **kwargs)
        failure: BaseException | None = None
        async with AsyncExitStack() as stack:
            values = await self._injector.asolve(ctx, stack, self._overrides.provider, kwargs)
            try:
                result = await self._function(*args, **values, **kwargs)
            except BaseException as error:
                failure = error
                raise
        if failure is not None:
            raise failure
        return result

    def _with_context(
        self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        name = self._context
        if name is None or name in kwargs:
            return args, kwargs
        if name:
            return args, {**kwargs, name: ctx}
        return (ctx, *args), kwargs
