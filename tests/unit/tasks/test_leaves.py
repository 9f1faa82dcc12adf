"""What the leaves of an exception group say."""

from __future__ import annotations

from rmqwork._tasks.leaves import leaf_of, leaves, steering, steers
from rmqwork.types import Reject, RetryLater


def test_leaves_are_found_however_deep() -> None:
    first, second = ValueError(), KeyError()
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [first]), second])

    assert list(leaves(group)) == [first, second]
    assert list(leaves(first)) == [first]
    assert leaf_of(group, KeyError) is second
    assert leaf_of(second, KeyError) is second
    assert leaf_of(group, OSError) is None
    assert leaf_of(first, OSError) is None


def test_what_a_task_says_on_purpose_comes_before_errors() -> None:
    later, reject, error = RetryLater(1), Reject(), ValueError()

    assert steering(BaseExceptionGroup("", [error, later, reject])) is reject
    assert steering(BaseExceptionGroup("", [error, later])) is later
    only = ExceptionGroup("", [error])
    assert steering(only) is only
    assert steering(error) is error
    assert steers(later)
    assert steers(BaseExceptionGroup("", [later]))
    assert not steers(only)
