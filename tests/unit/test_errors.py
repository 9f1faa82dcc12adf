"""The tree of errors."""

from __future__ import annotations

import inspect
import re

from rmqwork import errors
from rmqwork.errors import Nacked, PublishError, ResultTimeout, RmqworkError, TopologyMismatch

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, Exception)
}


def test_the_tree_that_is_drawn_is_the_tree_that_there_is() -> None:
    drawn: dict[str, str] = {}
    above = [""]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ]*[├└]── )?(\w+)(  |$)", line)
        if found is None:
            continue
        depth = len(found[1] or "") // 4
        drawn[found[2]] = above[depth]
        above[depth + 1 :] = [found[2]]

    assert drawn == {
        name: "" if kind is RmqworkError else kind.__bases__[0].__name__
        for name, kind in CLASSES.items()
    }


def test_timeouts_are_those_of_python_too() -> None:
    assert {name for name, kind in CLASSES.items() if issubclass(kind, TimeoutError)} == {
        "PublishTimeout",
        "ResultTimeout",
    }
    assert issubclass(ResultTimeout, TimeoutError)


def test_a_publish_error_tells_of_each_message_that_failed() -> None:
    failures = {"a": Nacked("full", task_id="a")}
    error = PublishError("1 of 2 failed", failures=failures)
    failures.clear()

    assert list(error.failures) == ["a"]
    assert (error.task_id, error.may_have_arrived) == (None, False)
    assert PublishError("no", task_id="b", may_have_arrived=True).may_have_arrived


def test_a_mismatch_has_a_line_for_each_difference() -> None:
    error = TopologyMismatch("queue 'q' differs:", [1, "type: classic, not quorum"])

    assert str(error) == "queue 'q' differs:\n  1\n  type: classic, not quorum"
    assert error.differences == ("1", "type: classic, not quorum")
    assert error.found == (1, "type: classic, not quorum")
