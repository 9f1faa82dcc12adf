"""Calls as values: what can be published, and what can be made of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast, overload

from rmqwork._canvas.links import links
from rmqwork._canvas.spec import (
    Group,
    HasWork,
    Step,
    WorkflowSpec,
    filled,
    is_immutable,
    is_open,
    joined,
    with_options,
)
from rmqwork._config.celery_names import NamesCeleryWords
from rmqwork._messages.options import LINKS, PublishOptions
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Unpack

    from rmqwork._canvas.failed_task import FailedTask
    from rmqwork._results.group import GroupResult
    from rmqwork._results.result import AsyncResult

R = TypeVar("R")
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True)
class Composable(HasWork, NamesCeleryWords, Generic[R_co]):
    """What workflows are made of: `Signature` and `Partial`. Never changed: every verb gives
    another one.
    """

    _celery_kind: ClassVar = "signature"

    def set(self, **options: Unpack[LinkOptions]) -> Self:
        """The same with more options (see ``LinkOptions``).

        For a chain or a group: ``countdown`` and ``eta`` are of what starts first, ``task_id`` is
        the id of its result, ``link`` and ``link_error`` are of the whole; all others are of each
        task that says nothing else.
        """
        return replace(self, work=with_options(self.work, _checked(options)))

    def link(self, callback: Partial[R_co, Any] | Immutable[Any]) -> Self:
        """The same; the callback is published with its value when it has succeeded.

        Raises:
            ConfigurationError: it is no signature, or cannot take the value.
        """
        if not isinstance(callback, Composable):
            raise ConfigurationError(
                f"link takes one signature (task.s(), task.si(…)), not {callback!r}; call it again "
                "for another"
            )
        joined((self.work, callback.work))
        return self._with_more("link", callback)

    def link_error(self, callback: Partial[FailedTask, Any] | Immutable[Any]) -> Self:
        """The same; the callback is published with a `FailedTask` when it has failed for good:
        once, for the first task in it that does.

        Raises:
            ConfigurationError: the callback cannot take that.
        """
        return self._with_more("link_error", callback)

    def _with_more(self, name: str, callback: Composable[Any]) -> Self:
        options: dict[str, Any] = {name: callback}
        before = self.work.options.get(name, ())
        more = {name: (*before, *_checked(options)[name])}
        return replace(self, work=with_options(self.work, more))

    def to_json(self) -> str:
        """As JSON, which ``app.signature(text)`` reads."""
        from rmqwork._canvas.serial import dump

        return dump(self.work)

    def graph(self) -> str:
        """A map of it, as Mermaid text."""
        from rmqwork._canvas.graph import mermaid

        return mermaid(self.work)

    def draw(self, path: str) -> None:
        """Write a picture of it.

        Args:
            path: of the file; its ending says the kind: ``.svg``, ``.png``, ``.pdf``.

        Raises:
            ConfigurationError: graphviz is missing.
        """
        from rmqwork._canvas.graph import draw

        draw(self.work, path)

    # ── of one call ───────────────────────────────────────────────────────────────────────────

    @property
    def _step(self) -> Step:
        if isinstance(self.work, Step):
            return self.work
        raise ConfigurationError(f"{self!r} is not one call of a task")

    @property
    def name(self) -> str:
        """The task's name, of a call."""
        return self._step.task.name

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments of a call."""
        return self._step.args

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """The named arguments of a call."""
        return self._step.kwargs

    @property
    def options(self) -> Mapping[str, Any]:
        """What was `set`."""
        return self.work.options

    @property
    def immutable(self) -> bool:
        """Whether it takes nothing from a task before it."""
        return is_immutable(self.work)

    def __repr__(self) -> str:
        from rmqwork._canvas.graph import text_of

        return f"<{type(self).__name__} {text_of(self.work)}>"


@dataclass(frozen=True, repr=False)
class Signature(Composable[R_co]):
    """A call, or a workflow of calls, that has all its arguments and has not been made yet.

    Made by ``task.s(...)``, ``chain``, ``group`` and ``chord``.
    """

    def apply_async(self, **options: Unpack[LinkOptions]) -> AsyncResult[R_co]:
        """Publish it; returns when the broker has confirmed.

        Args:
            **options: see `set`.

        Raises:
            ConfigurationError: an option is wrong, or a route leads nowhere.
            InvalidMessage: an argument does not fit.
            PublishError: the broker did not take it, or nobody knows.
        """
        from rmqwork._canvas.publishing import start

        return start(with_options(self.work, _checked(options)), ("apply_async", "aapply_async"))

    async def aapply_async(self, **options: Unpack[LinkOptions]) -> AsyncResult[R_co]:
        """`apply_async` for asyncio."""
        from rmqwork._canvas.publishing import astart

        return await astart(with_options(self.work, _checked(options)))

    def delay(self) -> AsyncResult[R_co]:
        """`apply_async` without options."""
        from rmqwork._canvas.publishing import start

        return start(self.work, ("delay", "adelay"))

    async def adelay(self) -> AsyncResult[R_co]:
        """`delay` for asyncio."""
        return await self.aapply_async()

    def __call__(self) -> AsyncResult[R_co]:
        """`delay`."""
        return self.delay()

    @overload
    def __or__(self, other: Partial[R_co, S]) -> Signature[S]: ...
    @overload
    def __or__(self, other: Immutable[S]) -> Signature[S]: ...

    def __or__(self, other: Composable[Any]) -> Any:
        """A chain: first this, then the other with its value.

        Raises:
            ConfigurationError: the other cannot take the value.
        """
        return _either(self, other)


@dataclass(frozen=True, repr=False)
class Immutable(Signature[R_co]):
    """A `Signature` that takes nothing from a task before it: ``task.si(...)``, ``task.map(…)``."""

    @overload
    def __or__(self, other: Partial[R_co, S]) -> Immutable[S]: ...
    @overload
    def __or__(self, other: Immutable[S]) -> Immutable[S]: ...

    def __or__(self, other: Composable[Any]) -> Any:
        """See `Signature.__or__`."""
        return _either(self, other)


@dataclass(frozen=True, repr=False)
class GroupSignature(Signature[list[R]], Generic[R]):
    """A group: its members run at once, and its value is the list of theirs."""

    def apply_async(self, **options: Unpack[LinkOptions]) -> GroupResult[R]:
        """See `Signature.apply_async`."""
        return cast("GroupResult[R]", super().apply_async(**options))

    async def aapply_async(self, **options: Unpack[LinkOptions]) -> GroupResult[R]:
        """`apply_async` for asyncio."""
        return cast("GroupResult[R]", await super().aapply_async(**options))

    def delay(self) -> GroupResult[R]:
        """`apply_async` without options."""
        return cast("GroupResult[R]", super().delay())

    async def adelay(self) -> GroupResult[R]:
        """`delay` for asyncio."""
        return cast("GroupResult[R]", await super().adelay())

    def __call__(self) -> GroupResult[R]:
        """`delay`."""
        return self.delay()

    def skew(self, start: float = 0.0, stop: float | None = None, step: float = 1.0) -> Self:
        """The same, its members one after the other: a countdown for each.

        Args:
            start: seconds until the first starts.
            stop: seconds at which it begins anew from ``start``; None = never.
            step: seconds between two.
        """
        assert isinstance(self.work, Group)
        members, countdown = [], start
        for member in self.work.members:
            members.append(with_options(member, {"countdown": countdown}))
            countdown += step
            if stop is not None and countdown >= stop:
                countdown = start
        return replace(self, work=replace(self.work, members=tuple(members)))

    def __len__(self) -> int:
        assert isinstance(self.work, Group)
        return len(self.work.members)

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, repr=False)
class ImmutableGroup(GroupSignature[R], Immutable[list[R]], Generic[R]):
    """A group of which no member takes anything from a task before it."""


@dataclass(frozen=True, repr=False)
class Partial(Composable[R_co], Generic[T_contra, R_co]):
    """A call or a workflow whose first argument is left to the value before it.

    Made by ``task.s(...)`` with the first argument left out, and by ``task.partial(...)``.
    """

    def apply_async(self, value: T_contra, **options: Unpack[LinkOptions]) -> AsyncResult[R_co]:
        """Publish it with this value in front; see `Signature.apply_async`."""
        from rmqwork._canvas.publishing import start

        work = filled(with_options(self.work, _checked(options)), value)
        return start(work, ("apply_async", "aapply_async"))

    async def aapply_async(
        self, value: T_contra, **options: Unpack[LinkOptions]
    ) -> AsyncResult[R_co]:
        """`apply_async` for asyncio."""
        from rmqwork._canvas.publishing import astart

        return await astart(filled(with_options(self.work, _checked(options)), value))

    def delay(self, value: T_contra) -> AsyncResult[R_co]:
        """`apply_async` without options."""
        from rmqwork._canvas.publishing import start

        return start(filled(self.work, value), ("delay", "adelay"))

    async def adelay(self, value: T_contra) -> AsyncResult[R_co]:
        """`delay` for asyncio."""
        return await self.aapply_async(value)

    def __call__(self, value: T_contra) -> AsyncResult[R_co]:
        """`delay`."""
        return self.delay(value)

    def fill(self, value: T_contra) -> Signature[R_co]:
        """The signature with this value in front."""
        return wrap(filled(self.work, value))  # type: ignore[no-any-return]

    @overload
    def __or__(self, other: Partial[R_co, S]) -> Partial[T_contra, S]: ...
    @overload
    def __or__(self, other: Immutable[S]) -> Partial[T_contra, S]: ...

    def __or__(self, other: Composable[Any]) -> Any:
        """See `Signature.__or__`."""
        return _either(self, other)


Callbacks = Partial[Any, Any] | Immutable[Any] | Sequence[Partial[Any, Any] | Immutable[Any]]
"""What the options ``link`` and ``link_error`` take."""


class LinkOptions(PublishOptions, total=False):
    """`PublishOptions`, and what the end of the task starts.

    Args:
        link: a signature, or several, published with the task's value when it has succeeded.
        link_error: likewise, with a `rmqwork.FailedTask` when it has failed for good.
    """

    link: Callbacks
    link_error: Callbacks


def wrap(work: WorkflowSpec) -> Any:
    """The signature of a workflow, of the class that says what it takes."""
    if is_open(work):
        return Partial(work)
    if isinstance(work, Group):
        return ImmutableGroup(work) if is_immutable(work) else GroupSignature(work)
    return Immutable(work) if is_immutable(work) else Signature(work)


def _either(first: Composable[Any], second: object) -> Any:
    if not isinstance(second, Composable):
        return NotImplemented
    return wrap(joined((first.work, second.work)))


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with ``link`` and ``link_error`` as tuples of what they start."""
    if not options:
        return {}
    return {
        name: links(value, name) if name in LINKS else value
        for name, value in options.items()
        if value is not None
    }
