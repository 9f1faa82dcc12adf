"""The verbs of a task that make signatures of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from rmqwork._canvas.signature import Immutable, ImmutableGroup, Partial, Signature, wrap
from rmqwork._canvas.spec import Group, Step
from rmqwork._config.cached import cached_property
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._tasks.binding import ArgumentBinder

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")


class MakesSignatures(Generic[P, R]):
    """A task, as the start of signatures.

    That ``self`` is callable with arguments of certain types is what tells apart the kinds of
    signature; pyright does not see that a task is.
    """

    if TYPE_CHECKING:

        @cached_property
        def filling(self) -> ArgumentBinder: ...

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Any: ...

    @overload
    def s(self, /, *args: P.args, **kwargs: P.kwargs) -> Signature[R]: ...  # type: ignore[overload-overlap]
    @overload
    def s(
        self: Callable[Concatenate[T, Q], object], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Partial[T, R]: ...

    def s(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        """This call as a value; with its first argument left out, it takes the value of the task
        before it in a chain.

        Raises:
            InvalidMessage: the arguments do not fit, neither way.
        """
        is_open = self.filling.is_open(args, kwargs)
        step = Step(self, args, kwargs, is_open=is_open)
        return Partial(step) if is_open else Signature(step)

    def si(self, /, *args: P.args, **kwargs: P.kwargs) -> Immutable[R]:
        """This call as a value that takes nothing from a task before it.

        Raises:
            InvalidMessage: the arguments do not fit.
        """
        self.filling.check(args, kwargs, is_open=False)
        return Immutable(Step(self, args, kwargs, immutable=True))  # type: ignore[arg-type]

    def partial(
        self: Callable[Concatenate[T, Q], object],  # pyright: ignore[reportGeneralTypeIssues]
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Partial[T, R]:
        """`s` with the first argument left out, where defaults leave `s` in doubt.

        Raises:
            InvalidMessage: the other arguments do not fit.
        """
        task: Any = self
        task.filling.check(args, kwargs, is_open=True)
        return Partial(Step(task, args, kwargs, is_open=True))

    def map(
        self: Callable[[T], object],  # pyright: ignore[reportGeneralTypeIssues]
        values: Iterable[T],
        /,
    ) -> Immutable[list[R]]:
        """One message that runs the task for each of these values, one after the other.

        Its value is the list of theirs. It fails as a whole, and runs again as a whole.
        """
        task: Any = self
        return task._each(tuple((value,) for value in values))  # type: ignore[no-any-return]

    def starmap(self, values: Iterable[tuple[Any, ...]], /) -> Immutable[list[R]]:
        """`map` for several arguments: each value is a tuple of them."""
        return self._each(tuple(tuple(value) for value in values))

    def chunks(self, values: Iterable[tuple[Any, ...]], size: int, /) -> ImmutableGroup[list[R]]:
        """A group of `starmap` calls with so many values each.

        Raises:
            ConfigurationError: the size is not above 0.
        """
        if size < 1:
            raise ConfigurationError(f"chunks of {size} values: the size must be above 0")
        left = iter(values)
        chunks = []
        while chunk := tuple(islice(left, size)):
            chunks.append(self.starmap(chunk).work)
        return wrap(Group(tuple(chunks)))  # type: ignore[no-any-return]

    def _each(self, items: tuple[tuple[Any, ...], ...]) -> Immutable[list[R]]:
        for args in items:
            self.filling.check(args, {}, is_open=False)
        return Immutable(Step(self, immutable=True, items=items))  # type: ignore[arg-type]
