"""Exception groups as a task raises them: what their leaves say of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from rmqwork.errors import RmqworkError
from rmqwork.types import Reject, Replace, RetryLater, TaskControl

E = TypeVar("E", bound=BaseException)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group, however deep; an exception that is no group is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def leaf_of(error: BaseException, cls: type[E]) -> E | None:
    """The first leaf of a class; None if there is none."""
    if isinstance(error, cls):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    return next((leaf for leaf in leaves(error) if isinstance(leaf, cls)), None)


def steering(error: BaseException) -> BaseException:
    """What decides about a run: of a group `Reject` before `RetryLater` before all errors, and
    `Replace` only where nothing else was raised; the group itself where none of them is in it.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    found = list(leaves(error))
    for cls in (Reject, RetryLater):
        for leaf in found:
            if isinstance(leaf, cls):
                return leaf
    replacing = [leaf for leaf in found if isinstance(leaf, Replace)]
    if len(replacing) != len(found):
        return error
    if len(replacing) > 1:
        return RmqworkError(f"{len(replacing)} parts of the task replace it: only one can")
    return replacing[0]


def steers(error: BaseException) -> bool:
    """Whether an exception steers its message, by itself or as a leaf."""
    return isinstance(error, TaskControl) or isinstance(steering(error), TaskControl)
