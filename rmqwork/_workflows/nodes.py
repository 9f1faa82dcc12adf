"""The shapes of nodes and frames: what a message carries is foreign until it was looked at.

A worker checks what it is about to act upon: the links of a workflow, and its frames up to the
first node. Later frames are looked at by the step that they come to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from rmqwork._topology.join_queues import MEMBERS_MOST, PREFIX
from rmqwork._workflows import splice
from rmqwork._workflows.document import Node, Workflow

MAX_MARKERS: Final = 256
"""Frames that are no nodes, one after the other: a node or the end comes after a few."""
_MAX_TEXT: Final = 255
_MAX_SECONDS: Final = 1e10
_MAX_MILLISECONDS: Final = 1 << 53
_MAX_VERSION: Final = 1 << 31
_MAX_INTEGER: Final = 1 << 63
_MAX_DEPTH: Final = 16
_JOIN_QUEUE: Final = re.compile(re.escape(PREFIX) + "[0-9]{1,4}")


def check_workflow(workflow: Workflow, max_size: int) -> None:
    """Have a workflow that can be moved on with.

    Args:
        workflow: what a message carries.
        max_size: bytes that its packed frames may come to.

    Raises:
        ValueError: it cannot; with the reason.
    """
    if workflow.expires_at is not None and abs(workflow.expires_at) > _MAX_MILLISECONDS:
        raise ValueError("its expires_at is out of range")
    _check_nodes([*workflow.link, *workflow.link_error])
    then, markers = workflow.then, 0
    while then:
        frame, then = splice.first(then, max_size)
        if check_frame(frame):
            return
        markers += 1
        if markers > MAX_MARKERS:
            raise ValueError(f"more than {MAX_MARKERS} frames in a row are no nodes")


def check_frame(frame: object) -> bool:
    """Have a frame of a right shape; returns whether it is a node.

    Raises:
        ValueError: it is of none.
    """
    if type(frame) is not dict:
        raise ValueError(f"a frame is {_named(frame)}, not an object")
    if "join" in frame:
        _check_join(frame)
    elif "link" in frame and len(frame) == 1:
        _check_nodes(_list(frame, "link"))
    elif "catch" in frame and len(frame) == 1:
        _check_nodes(_list(frame, "catch"))
    else:
        _check_nodes([frame])
        return True
    return False


def _check_join(frame: Node) -> None:
    _check_text(frame, "join")
    size, index = frame.get("size"), frame.get("index")
    if not _JOIN_QUEUE.fullmatch(str(frame.get("queue"))):
        raise ValueError("the queue of a join is none of those for joins")
    if type(size) is not int or not 0 < size <= MEMBERS_MOST:
        raise ValueError(f"the size of a join is {_named(size)}")
    if type(index) is not int or not 0 <= index < size:
        raise ValueError(f"the index of a join's member is {_named(index)}")


def _check_nodes(nodes: list[Any]) -> None:
    waiting = nodes
    while waiting:
        node = waiting.pop()
        if type(node) is not dict:
            raise ValueError(f"a node is {_named(node)}, not an object")
        if "task" in node:
            _check_task(node)
        elif "chain" in node:
            waiting += _list(node, "chain")
        elif "group" in node:
            _check_text(node, "id")
            waiting += _list(node, "group")
        else:
            raise ValueError("a node is neither a task nor a chain nor a group")
        for name in ("link", "link_error"):
            if node.get(name) is not None:
                waiting += _list(node, name)


def _check_task(node: Node) -> None:
    for name in ("task", "id", "exchange", "key"):
        _check_text(node, name)
    for name, value in node.items():
        check = _OPTIONS.get(name)
        if check is not None and value is not None and not check(value):
            raise ValueError(f"the {name} of a step is {_named(value)}")
    if node.get("into") and not isinstance(node.get("body"), dict | None):
        raise ValueError("the body of a step that takes a value is no object")


def _check_text(node: Node, name: str) -> None:
    value = node.get(name)
    if type(value) is not str or not _is_short(value):
        raise ValueError(f"the {name} of a step or group is {_named(value)}")


def _list(node: Node, name: str) -> list[Any]:
    value = node[name]
    if type(value) is not list:
        raise ValueError(f"{name} is {_named(value)}, not an array")
    return list(value)


def _named(value: object) -> str:
    """A value, for people."""
    return "missing" if value is None else f"{str(value)[:40]!r}"


def _is_short(value: str) -> bool:
    return len(value) <= _MAX_TEXT and len(value.encode("utf-8", "surrogatepass")) <= _MAX_TEXT


def _is_text(value: object) -> bool:
    return type(value) is str and _is_short(value)


def _is_number(value: object) -> bool:
    """Whether it is a number of seconds."""
    return type(value) in (int, float) and -_MAX_SECONDS < value < _MAX_SECONDS  # type: ignore[operator]


def _is_moment(value: object) -> bool:
    """Whether it is a number of milliseconds since the epoch."""
    return type(value) in (int, float) and abs(value) <= _MAX_MILLISECONDS  # type: ignore[arg-type]


def _is_priority(value: object) -> bool:
    return type(value) is int and 0 <= value <= 255


def _is_version(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_VERSION


def _are_headers(value: object) -> bool:
    return type(value) is dict and _is_table(value, 0) and all(map(_is_route, _routes(value)))


def _routes(headers: Mapping[str, object]) -> list[object]:
    return [value for name, value in headers.items() if name in ("CC", "BCC")]


def _is_route(value: object) -> bool:
    """Whether RabbitMQ takes it as further routing keys."""
    return type(value) is list and all(map(_is_text, value))


def _is_table(value: Mapping[Any, object], depth: int) -> bool:
    return depth < _MAX_DEPTH and all(
        _is_text(name) and _is_item(item, depth) for name, item in value.items()
    )


def _is_item(value: object, depth: int) -> bool:
    if type(value) is int:
        return -_MAX_INTEGER <= value < _MAX_INTEGER
    if type(value) is float:
        return isfinite(value)
    if type(value) is dict:
        return _is_table(value, depth + 1)
    if type(value) is list:
        return depth < _MAX_DEPTH and all(_is_item(item, depth + 1) for item in value)
    return value is None or type(value) in (str, bool)


_OPTIONS: Final[Mapping[str, Callable[[object], bool]]] = {
    "priority": _is_priority,
    "version": _is_version,
    "each": _is_text,
    "into": _is_text,
    "app_id": _is_text,
    "expires": _is_number,
    "countdown": _is_number,
    "expires_at": _is_moment,
    "eta": _is_moment,
    "headers": _are_headers,
}
