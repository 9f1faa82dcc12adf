"""`chain`, `group` and `chord`: several signatures as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from rmqwork._canvas.signature import (
    Composable,
    GroupSignature,
    Immutable,
    ImmutableGroup,
    Partial,
    Signature,
    wrap,
)
from rmqwork._canvas.spec import Group, WorkflowSpec, joined
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._results.result import AsyncResult

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
def chain(first: Immutable[A], second: Partial[A, B] | Immutable[B], /) -> Immutable[B]: ...
@overload
def chain(first: Signature[A], second: Partial[A, B] | Immutable[B], /) -> Signature[B]: ...
@overload
def chain(first: Partial[T, A], second: Partial[A, B] | Immutable[B], /) -> Partial[T, B]: ...
@overload
def chain(
    first: Signature[A],
    second: Partial[A, B] | Immutable[B],
    third: Partial[B, C] | Immutable[C],
    /,
) -> Signature[C]: ...
@overload
def chain(
    first: Partial[T, A],
    second: Partial[A, B] | Immutable[B],
    third: Partial[B, C] | Immutable[C],
    /,
) -> Partial[T, C]: ...
@overload
def chain(
    first: Signature[A],
    second: Partial[A, B] | Immutable[B],
    third: Partial[B, C] | Immutable[C],
    fourth: Partial[C, D] | Immutable[D],
    /,
    *more: Partial[Any, Any] | Immutable[Any],
) -> Signature[Any]: ...
@overload
def chain(steps: Iterable[Composable[Any]], /) -> Signature[Any]: ...
@overload
def chain() -> Immutable[None]: ...


def chain(*steps: Any) -> Any:
    """One after the other, each with the value of the one before it; its value is the last one's::

        chain(add.s(2, 2), add.s(4)).delay().get()       # 8; the same as add.s(2, 2) | add.s(4)

    Args:
        steps: signatures, or one iterable of them (whose types no checker can follow).

    Raises:
        ConfigurationError: a step cannot take what the one before it gives.
    """
    return wrap(joined(_several(steps, "chain")))


@overload
def group(*members: Immutable[R]) -> ImmutableGroup[R]: ...  # type: ignore[overload-overlap]
@overload
def group(*members: Signature[R]) -> GroupSignature[R]: ...  # type: ignore[overload-overlap]
@overload
def group(*members: Partial[T, R] | Immutable[R]) -> Partial[T, list[R]]: ...
@overload
def group(members: Iterable[Immutable[R]], /) -> ImmutableGroup[R]: ...
@overload
def group(members: Iterable[Signature[R]], /) -> GroupSignature[R]: ...
@overload
def group(members: Iterable[Partial[T, R]], /) -> Partial[T, list[R]]: ...


def group(*members: Any) -> Any:
    """All at once; its value is the list of their values, in their order::

        group(add.s(n, n) for n in range(10)).delay().get()

    Args:
        members: signatures, or one iterable of them.
    """
    return wrap(Group(tuple(_several(members, "group"))))


@dataclass(frozen=True)
class ChordHeader(Generic[R]):
    """``chord(header)``: to be called with its body."""

    header: Signature[list[R]]

    @overload
    def __call__(self, body: Partial[list[R], S]) -> AsyncResult[S]: ...
    @overload
    def __call__(self, body: Immutable[S]) -> AsyncResult[S]: ...

    def __call__(self, body: Composable[Any]) -> AsyncResult[Any]:
        """Publish the chord with this body."""
        return chord(self.header, body).delay()  # type: ignore[no-any-return,call-overload]


_Header = Iterable[Signature[R]] | GroupSignature[R]


@overload
def chord(header: _Header[R], body: Partial[list[R], S], /) -> Signature[S]: ...
@overload
def chord(header: _Header[R], body: Immutable[S], /) -> Signature[S]: ...
@overload
def chord(
    header: Partial[T, list[R]] | Iterable[Partial[T, R]],
    body: Partial[list[R], S] | Immutable[S],
    /,
) -> Partial[T, S]: ...
@overload
def chord(header: _Header[R], /) -> ChordHeader[R]: ...


def chord(header: Any, body: Any = None, /) -> Any:
    """A group, and a task that gets the list of its values: ``group(…) | body``::

        chord((add.s(n, n) for n in range(100)), total.s()).delay()
        chord(add.s(n, n) for n in range(100))(total.s())       # the same

    Args:
        header: a group, or an iterable of signatures.
        body: what gets the list; without it, call what this returns with the body.

    Raises:
        ConfigurationError: the body cannot take the list.
    """
    group_of: Any = header
    if not isinstance(header, Composable) or not isinstance(header.work, Group):
        group_of = wrap(Group(tuple(_several([header], "chord"))))
    return ChordHeader(group_of) if body is None else group_of | body


def _several(given: Sequence[Any], what: str) -> list[WorkflowSpec]:
    if len(given) == 1 and not isinstance(given[0], Composable) and isinstance(given[0], Iterable):
        given = tuple(given[0])
    for one in given:
        if not isinstance(one, Composable):
            raise ConfigurationError(
                f"{what} takes signatures (task.s(…), task.si(…)), not {one!r}"
            )
    return [one.work for one in given]
