"""The shapes of reports."""

from __future__ import annotations

import msgpack
import pytest

from rmqwork._worker.ipc.report_shapes import is_plain_success, is_right
from rmqwork._worker.ipc.reports import publication_values
from rmqwork._worker.ipc.wire import outcome_message
from rmqwork.types import Publication, Success

PUBLICATION = publication_values(Publication("x", "k", b"{}", "id"))


def publish(**changed: object) -> list[object]:
    """A publish report with another value at a place of its publication."""
    values = list(PUBLICATION)
    for place, value in changed.items():
        values[int(place[1:])] = value
    return ["publish", 1, [values], 1.0]


WRONG = [
    None,
    "pong",
    {},
    [],
    [[]],
    [{}, 1],
    ["unheard-of", 1],
    ["pong"],
    ["pong", 1, 2],
    ["pong", "1"],
    ["pong", -1],
    ["pong", True],
    ["ready", [1]],
    ["cancelled", [[]]],
    ["back", 7],
    ["back", ["7"]],
    ["warning", b"text"],
    ["stack", 1, None],
    ["progress", 1, 1, None],
    ["o", 1, "s", 0.1],
    ["o", 1, "s", 0.1, "text"],
    ["o", 1, "s", "0.1", None],
    ["o", 1, "s", -0.1, None],
    ["o", 1, "s", float("nan"), None],
    ["o", 1, "s", float("inf"), None],
    ["o", [], "s", 0.1, None],
    ["o", 1, "x", 0.1, None],
    ["o", 1, "r", 0.1, float("inf"), True, "a", "b", "c"],
    ["o", 1, "r", 0.1, 1.0, 1, "a", "b", "c"],
    ["o", 1, "f", 0.1, "no-reason", "a", "b", "c"],
    ["o", 1, "f", 0.1, [], "a", "b", "c"],
    ["o", 1, "f", 0.1, "failed", "a", "b", None],
    ["o", 1, "f", 0.1, "failed", "a", "b"],
    ["publish", 1, [[]], 1.0],
    ["publish", 1, [1], 1.0],
    ["publish", 1, 5, 1.0],
    ["publish", 1, [], float("nan")],
    publish(_0=None),
    publish(_2="text"),
    publish(_5=[]),
    publish(_5={b"a": 1}),
    publish(_5={"a": {"b": msgpack.ExtType(3, b"x")}}),
    publish(_5={"a": 1 << 63}),
    publish(_6="tomorrow"),
    publish(_6=float("inf")),
    publish(_7=256),
    publish(_8=1),
    publish(_12=-1),
    publish(_13=1),
]


@pytest.mark.parametrize("report", WRONG, ids=lambda report: str(report)[:60])
def test_what_no_executor_of_ours_says_has_none(report: object):
    assert not is_plain_success(report)
    assert not is_right(report)


def test_a_plain_success_is_known_at_one_look():
    plain = list(outcome_message(7, Success(0.1)))
    assert is_plain_success(plain)
    assert is_right(plain)
    with_result = list(outcome_message(7, Success(0.1, b"1")))
    assert not is_plain_success(with_result)
    assert is_right(with_result)
