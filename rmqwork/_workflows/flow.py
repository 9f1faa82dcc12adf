"""What follows from what: from a node, a value or a failure to the publications that come next.

A node is a call that its publisher has frozen: ids and routes are in it. Each message carries what
comes after it (`rmqwork._workflows.document`), so that the worker process moves a workflow on with
neither the app nor pydantic. Frames of a continuation:

* a node: a task ``{"task":…,"id":…}``, ``{"chain":[…]}``, ``{"group":[…],"id":…}``;
* ``{"join":…,"queue":…,"size":…,"index":…}``: the value is one of a group's; the last frame;
* ``{"link":[…]}``: these nodes start with the value, which is passed on;
* ``{"catch":[…]}``: these nodes start with the failure, if something before this frame fails.

Loops instead of recursion: nesting has no limit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rmqwork._messages import headers as names
from rmqwork._topology.join_queues import MEMBERS_MOST, queue_of
from rmqwork._workflows import join_messages, splice
from rmqwork._workflows.context import TooLarge, WorkflowContext
from rmqwork._workflows.document import Node, Workflow, attach
from rmqwork.types import Publication

_MISSING: Final = b"null"
CANNOT_GO_ON: Final = (
    TooLarge,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What is raised where a workflow is not what it should be: its frames are foreign."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A workflow, or a branch of it, that ends here.

    Args:
        publications: what starts because of it.
        never: the ids of the tasks that will not run, with their results unknown to anybody.
        runs: which runs of chosen ids these are, by id (`rmqwork._messages.headers.RUN`).
    """

    publications: list[Publication]
    never: list[str]
    runs: Mapping[str, str] = field(default_factory=dict)


def launch(node: Node, value: bytes | None, then: str, carry: WorkflowContext) -> list[Publication]:
    """What starts a node.

    Args:
        node: what is to run.
        value: the JSON of the value before it; None: there is none.
        then: the frames that come after it.
        carry: what all steps share.

    Returns:
        in the order in which they are to be sent.

    Raises:
        TooLarge: a message would be larger than ``carry.max_size``.
    """
    publications: list[Publication] = []
    waiting: list[tuple[Node, str, bytes | None]] = [(node, then, value)]
    while waiting:
        node, then, value = waiting.pop()
        if "task" in node:
            publications.append(_task(node, value, then, carry))
            continue
        if "chain" in node:
            steps, then = node["chain"], splice.before(_after_chain(node), then)
            members = [(steps[0], then)] if steps else []
        else:
            opening, members = _group(node, then, carry)
            publications += opening
            value = value if members else b"[]"
        if not members:
            started, step = _advance(then, value or _MISSING, carry)
            publications += started
            members = [step] if step else []
        waiting += [(member, after, value) for member, after in reversed(members)]
    return publications


def _after_chain(node: Node) -> str:
    """What comes after a chain's first step."""
    after: list[Node] = list(node["chain"][1:])
    if node.get("link"):
        after.append({"link": node["link"]})
    if node.get("link_error"):
        after.append({"catch": node["link_error"]})
    return splice.packed_frames_of(after)


def _group(
    node: Node, then: str, carry: WorkflowContext
) -> tuple[list[Publication], list[tuple[Node, str]]]:
    """What opens a group's join, if it needs one, and its members with what comes after each."""
    members: list[Node] = node["group"]
    handlers = node.get("link_error")
    own = splice.frames_of([{"catch": handlers}]) if handlers else ""
    if not members:
        return [], []
    if not then:
        return [], [(member, own) for member in members]
    if len(members) > MEMBERS_MOST:
        raise TooLarge(
            f"group {node['id']} has {len(members):,} members, and something after it: a join "
            f"holds {MEMBERS_MOST:,}; make fewer members of the items with chunks()"
        )
    queue = queue_of(node["id"])
    join = {"join": node["id"], "queue": queue, "size": len(members)}
    return [join_messages.opened(join, splice.before(own, then), carry)], [
        (member, splice.dump({**join, "index": index})) for index, member in enumerate(members)
    ]


def _task(node: Node, value: bytes | None, then: str, carry: WorkflowContext) -> Publication:
    headers: dict[str, object] = dict(node.get("headers") or {})
    if "version" in node:
        headers[names.VERSION] = node["version"]
    if "each" in node:
        headers[names.EACH] = node["each"]
    expiry = _expiry(node, carry)
    if expiry is not None:
        headers[names.EXPIRES_AT] = expiry
    workflow = Workflow(
        carry.workflow,
        then,
        tuple(node.get("link") or ()),
        tuple(node.get("link_error") or ()),
        carry.expires_at,
    )
    arguments = node.get("body") or {}
    if "into" in node and value is not None:
        body = splice.with_argument(arguments, node["into"], value)
    else:
        body = splice.dump(arguments).encode()
    body, content_type, headers = attach(workflow, body, headers)
    carry.check(f"the message of {node['task']} ({node['id']})", body)
    return Publication(
        exchange=node["exchange"],
        routing_key=node["key"],
        body=body,
        message_id=node["id"],
        type=node["task"],
        headers=headers,
        due=_due(node, carry),
        priority=node.get("priority"),
        content_type=content_type,
        correlation_id=node["id"] if carry.reply_to else None,
        reply_to=carry.reply_to,
        timestamp=int(carry.now),
        app_id=node.get("app_id", carry.app_id),
    )


def _due(node: Node, carry: WorkflowContext) -> float | None:
    if "eta" in node:
        return float(node["eta"]) / 1000
    return carry.now + node["countdown"] if node.get("countdown") else None


def _expiry(node: Node, carry: WorkflowContext) -> int | None:
    """Milliseconds since the epoch after which a step must not start."""
    limits = []
    if "expires" in node:
        limits.append(int((carry.now + node["expires"]) * 1000))
    if "expires_at" in node:
        limits.append(int(node["expires_at"]))
    if carry.expires_at is not None:
        limits.append(carry.expires_at)
    return min(limits, default=None)


def proceed(then: str, value: bytes, carry: WorkflowContext) -> list[Publication]:
    """What comes next with a value.

    Raises:
        TooLarge: see `launch`.
    """
    started, step = _advance(then, value, carry)
    if step is not None:
        started += launch(step[0], value, step[1], carry)
    return started


def _advance(
    then: str, value: bytes, carry: WorkflowContext
) -> tuple[list[Publication], tuple[Node, str] | None]:
    """What starts before the next node; and that node, with what comes after it."""
    started: list[Publication] = []
    while then:
        frame, then = splice.first(then)
        if "join" in frame:
            started.append(join_messages.part(frame, value, carry))
        elif not _is_marker(frame):
            return started, (frame, then)
        elif "link" in frame:
            started += _start_all(frame["link"], value, carry)
    return started, None


def takes_value(then: str) -> bool:
    """Whether what comes first takes the value before it."""
    waiting: list[Node] = []
    while then and not waiting:
        frame, then = splice.first(then)
        if "catch" not in frame:
            waiting.append(frame)
    while waiting:
        node = waiting.pop()
        if "chain" in node:
            waiting += node["chain"][:1] or [{"link": ()}]
        elif "group" in node:
            waiting += node["group"]
        elif "task" not in node or "into" in node:
            return True
    return False


def _is_marker(frame: Mapping[str, Any]) -> bool:
    """Whether a frame is no node."""
    return not frame.keys() & {"task", "chain", "group"}


def _start_all(
    nodes: Iterable[Node], value: bytes | None, carry: WorkflowContext
) -> list[Publication]:
    return [one for node in nodes for one in launch(node, value, "", carry)]


def succeeded(workflow: Workflow, value: bytes, carry: WorkflowContext) -> list[Publication]:
    """What follows from a task's value.

    Raises:
        TooLarge: see `launch`.
    """
    return [*_start_all(workflow.link, value, carry), *proceed(workflow.then, value, carry)]


def replaced(workflow: Workflow, node: Node, carry: WorkflowContext) -> list[Publication]:
    """What a task starts in its place: it takes over all that comes after the task.

    Raises:
        TooLarge: see `launch`.
    """
    frames: list[Node] = []
    if workflow.link:
        frames.append({"link": workflow.link})
    if workflow.link_error:
        frames.append({"catch": workflow.link_error})
    return launch(node, None, splice.before(splice.frames_of(frames), workflow.then), carry)


def failed(workflow: Workflow, failure: Mapping[str, object], carry: WorkflowContext) -> Broken:
    """What follows from a task's failure: handlers start once, and the rest never runs.

    Args:
        workflow: what came after the task.
        failure: what went wrong: ``task_id``, ``task``, ``reason``, ``type``, ``message``,
            ``traceback``, ``attempt``, ``workflow``.
        carry: what all steps share.
    """
    broken = ended(workflow.then, failure, carry)
    value = splice.dump(failure).encode()
    handlers = _start_all(workflow.link_error, value, carry)
    return Broken(
        [*handlers, *broken.publications],
        [*never_run(workflow.link), *broken.never],
        {**runs_of(workflow.link), **broken.runs},
    )


def ended(then: str, failure: Mapping[str, object], carry: WorkflowContext) -> Broken:
    """What follows when frames will never be reached; see `failed`."""
    value = splice.dump(failure).encode()
    frames = splice.items_of(then)
    publications: list[Publication] = []
    nodes: list[Node] = []
    for frame in frames:
        if "join" in frame:
            publications.append(join_messages.failed_part(frame, value, carry))
        elif not _is_marker(frame):
            nodes.append(frame)
        elif "catch" in frame:
            publications += _start_all(frame["catch"], value, carry)
        else:
            nodes += frame.get("link") or ()
    return Broken(publications, never_run(nodes), runs_of(nodes))


def never_run(nodes: Sequence[Node]) -> list[str]:
    """The ids of all tasks in nodes, and of those that would start with their values."""
    return [node["id"] for node in _tasks_of(nodes)]


def runs_of(nodes: Sequence[Node]) -> dict[str, str]:
    """The runs of chosen ids among them, by id."""
    runs = {node["id"]: (node.get("headers") or {}).get(names.RUN) for node in _tasks_of(nodes)}
    return {task_id: run for task_id, run in runs.items() if run}


def _tasks_of(nodes: Sequence[Node]) -> Iterator[Node]:
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        if "task" in node:
            yield node
        waiting += reversed(node.get("link") or ())
        waiting += reversed(node.get("chain") or node.get("group") or ())


def failure_of(text: bytes) -> dict[str, Any]:
    """The failure that a join was told of."""
    value = json.loads(text)
    return value if isinstance(value, dict) else {"message": str(value)}
