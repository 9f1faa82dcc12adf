"""Nodes and frames of messages that somebody has made by hand."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._workflows.document import Workflow, read
from rmqwork._workflows.nodes import MAX_MARKERS, check_frame, check_workflow
from rmqwork._workflows.splice import dump, packed_frames_of

LIMIT = 1 << 20


def node(**changed: Any) -> dict[str, Any]:
    return {"task": "shop.add", "id": "id-1", "exchange": "", "key": "q", "body": {}, **changed}


JOIN = {"join": "j", "queue": "rmqwork.joins.0", "size": 2, "index": 1}
RIGHT = [
    node(),
    node(into="x", priority=9, expires=1.5, countdown=2, eta=1, version=2, each="map"),
    node(headers={"a": {"b": [1, 2.5, "c", None, True]}, "CC": ["other"]}, app_id="shop"),
    node(link=[node()], link_error=[node(link=[node()])]),
    {"chain": []},
    {"chain": [node(), {"group": [node()], "id": "g"}], "link": [node()]},
    {"group": [], "id": "g"},
]
WRONG = [
    None,
    5,
    "text",
    [],
    {},
    {"unheard": 1},
    *(node(**{name: None}) for name in ("task", "id", "exchange", "key")),
    *(node(**{name: 5}) for name in ("task", "id", "exchange", "key", "each", "into", "app_id")),
    *(node(**{name: "x" * 256}) for name in ("task", "id", "exchange", "key")),
    node(exchange="ü" * 128),
    *(node(priority=value) for value in ("high", -1, 256, True, 1.5)),
    *(node(version=value) for value in ("2", -1, 1 << 40)),
    *(node(countdown=value) for value in ("soon", 1e308, -1e308, float("nan"), [])),
    *(node(expires_at=value) for value in ("soon", 1e308, 1 << 60)),
    *(node(headers=value) for value in ([], {"a" * 256: 1}, {"a": 1 << 70}, {"a": float("inf")})),
    *(node(headers={"CC": value}) for value in ("text", [1], {"a": 1}, ["x" * 256])),
    *(node(link=value) for value in (5, {}, [5], [[]], [{}])),
    node(into="x", body=[1]),
    {"chain": 5},
    {"chain": [5]},
    {"group": [node()]},
    {"group": [node()], "id": 5},
    {"link": 5},
    {"catch": [5]},
    *({**JOIN, "queue": value} for value in (5, "q", "rmqwork.joins.", "rmqwork.joins.dlq", None)),
    *({**JOIN, "size": value} for value in (0, -1, "2", True, 1 << 40)),
    *({**JOIN, "index": value} for value in (2, -1, "1", None, 1 << 70)),
    {"join": 5},
]


@pytest.mark.parametrize("frame", RIGHT, ids=str)
def test_a_node_that_our_publishers_write_is_one(frame: object):
    assert check_frame(frame)


@pytest.mark.parametrize("frame", [JOIN, {"link": [node()]}, {"catch": []}], ids=str)
def test_what_stands_between_nodes_is_none(frame: object):
    assert not check_frame(frame)


@pytest.mark.parametrize("frame", WRONG, ids=lambda frame: str(frame)[:60])
def test_what_nobody_of_ours_writes_is_refused(frame: object):
    with pytest.raises(ValueError, match=r"."):
        check_frame(frame)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["task", "id", "exchange", "key", "chain", "group", "link", "join"]),
            inner,
        )
    ),
)


@given(anything)
def test_whatever_comes_it_is_right_or_a_value_error(frame: object):
    try:
        check_frame(frame)
    except ValueError:
        return


def test_frames_are_looked_at_up_to_the_first_node():
    check_workflow(Workflow("w", f"{dump(JOIN)},{dump(node())},garbage"), LIMIT)
    with pytest.raises(ValueError, match="Expecting value"):
        check_workflow(Workflow("w", f"{dump(JOIN)},garbage"), LIMIT)


def test_what_is_packed_is_looked_at_too():
    check_workflow(Workflow("w", packed_frames_of([node()] * 200)), LIMIT)


def packed(text: str) -> str:
    return dump({"packed": base64.b64encode(zlib.compress(text.encode())).decode()})


@pytest.mark.parametrize(
    "then",
    [
        ",".join(['{"catch":[]}'] * (MAX_MARKERS + 1)),
        packed(" " * (LIMIT + 1)),
        packed(packed(dump(node()))),
        '{"packed":5}',
        '{"packed":"garbage"}',
    ],
    ids=["markers without an end", "a bomb", "packed twice", "no text", "not packed"],
)
def test_work_has_bounds(then: str):
    with pytest.raises(ValueError, match=r"."):
        check_workflow(Workflow("w", then), LIMIT)


def test_links_are_looked_at():
    with pytest.raises(ValueError, match="not an object"):
        check_workflow(Workflow("w", "", ([],)), LIMIT)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expires_at"):
        check_workflow(read(json.dumps({"id": "w", "expires_at": 1 << 60, "then": []})), LIMIT)
