"""From a workflow to what a worker can move on by itself: ids given, routes resolved, plain JSON.

A frozen call is a **node**; see docs/how-to/canvas.md and `rmqwork._workflows.flow`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rmqwork._canvas.links import LinkedOptions, parse
from rmqwork._canvas.spec import NOTHING, Chain, Group, HasWork, Step, WorkflowSpec, is_open
from rmqwork._messages import headers as names
from rmqwork._messages.encoded import EncodedMessage
from rmqwork._messages.ids import uuid7
from rmqwork._messages.options import LINKS, RIVALS, CallOptions
from rmqwork.errors import ConfigurationError, InvalidMessage

Node = dict[str, Any]

_FOR_THE_FIRST: Final = ("countdown", "eta")
_FOR_THE_LAST: Final = ("task_id",)
PLACES: Final = ("queue", "exchange", "routing_key")
_FOR_LINKS: Final = frozenset({*PLACES, "headers", "priority", "expires"})
_FOR_THE_WHOLE: Final = ("link", "link_error", "timeout")
_DEPTH: Final = "this workflow cannot be written: links are hundreds of levels inside each other"


def freeze(work: WorkflowSpec, below: Mapping[str, Any] = NOTHING) -> Node:
    """The node of a workflow.

    Args:
        work: what is to run.
        below: options for all in it that says nothing else.

    Raises:
        ConfigurationError: an option is wrong, a route leads nowhere, or something is missing.
        InvalidMessage: an argument does not fit.
    """
    try:
        return _node(work, below)
    except RecursionError:
        raise ConfigurationError(_DEPTH) from None


def replacement(
    signature: object,
    task_id: str,
    below: Mapping[str, Any] = NOTHING,
    run: str | None = None,
) -> bytes:
    """The JSON of what runs in the place of a task.

    Args:
        signature: what ``ctx.replace`` was given.
        task_id: of the task: the id of the last one that runs in its place.
        below: the options of its message, for all that says nothing else.
        run: which run of a chosen id the task was (`rmqwork._messages.headers.RUN`).

    Raises:
        ConfigurationError: it is no signature, is not complete, or does not end in one task.
        InvalidMessage: an argument does not fit.
    """
    node = _in_place(signature, {**below, "task_id": task_id})
    last = last_of(node)
    if last["id"] != task_id:
        raise ConfigurationError(
            f"ctx.replace({signature!r}): leave its task_id= out; it gets that of this task"
        )
    _of_run(last, run)
    return _dump(node)


def gathering(
    name: str,
    task_id: str,
    items: Sequence[object],
    below: Mapping[str, Any] = NOTHING,
    run: str | None = None,
) -> bytes:
    """The JSON of what runs in the places of some items of a map, and of the map's end.

    Its last task has neither exchange nor routing key: it goes where the map came from.

    Args:
        name: the task's.
        task_id: of the map.
        items: of each, in order: its value as JSON in bytes, or what ``ctx.replace`` was given.
        below: see `replacement`.
        run: see `replacement`.

    Raises:
        ConfigurationError, InvalidMessage: see `replacement`.
    """
    known = [json.loads(one) for one in items if isinstance(one, bytes)]
    at = [index for index, one in enumerate(items) if not isinstance(one, bytes)]
    end: Node = {"task": name, "id": task_id, "body": {"known": known, "at": at}}
    end |= {"into": "values", "each": names.GATHERED, "version": names.GATHERED_VERSION}
    _timed(end, parse(below, f"task {name!r}, ctx.replace", time.time()))
    _of_run(end, run)
    members = [_in_place(items[index], below) for index in at]
    return _dump({"chain": [{"group": members, "id": uuid7()}, end]})


def last_of(node: Node) -> Node:
    """The last node of a chain, or the node itself."""
    while node.get("chain"):
        node = node["chain"][-1]
    return node


def _in_place(signature: object, below: Mapping[str, Any]) -> Node:
    if not isinstance(signature, HasWork) or is_open(signature.work):
        raise ConfigurationError(f"ctx.replace takes a complete signature, not {signature!r}")
    node = freeze(signature.work, below)
    if "task" not in last_of(node):
        raise ConfigurationError(
            f"ctx.replace({signature!r}): its value would be that of no task; end it with one "
            "that takes the list: group(…) | task.s()"
        )
    return node


def _of_run(node: Node, run: str | None) -> None:
    """Let a node that takes the id of a task be of its run."""
    headers = node.get("headers") or {}
    headers.pop(names.RUN, None)
    if run is not None:
        headers[names.RUN] = run
    if headers:
        node["headers"] = headers
    else:
        node.pop("headers", None)


def _dump(node: Node) -> bytes:
    return json.dumps(node, separators=(",", ":")).encode()


def _node(work: WorkflowSpec, below: Mapping[str, Any]) -> Node:
    match work:
        case Step():
            return _task(work, below)
        case Chain():
            return _chain(work, below)
        case Group():
            return _group(work, below)


def _chain(chain: Chain, below: Mapping[str, Any]) -> Node:
    own = _own(chain, below)
    node: Node = {"chain": []}
    end = len(chain.steps) - 1
    for at, step in enumerate(chain.steps):
        frozen = _node(step, _without(own, not_first=at > 0, not_last=at < end))
        plain = "chain" in frozen and len(frozen) == 1
        node["chain"] += frozen["chain"] if plain else (frozen,)
    return _linked(node, chain.options, own)


def _group(group: Group, below: Mapping[str, Any]) -> Node:
    own = _own(group, below)
    each = _without(own, not_first=False, not_last=True)
    node: Node = {
        "group": [_node(member, each) for member in group.members],
        "id": uuid7(),  # of its join, which is one run's
    }
    if "task_id" in own:
        node["result"] = own["task_id"]
    if group.options.get("link"):
        node = {"chain": [node]}
    return _linked(node, group.options, own)


def _own(work: Chain | Group, below: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a chain or a group hands down to what is in it."""
    own = {key: value for key, value in work.options.items() if key not in _FOR_THE_WHOLE}
    expires = own.get("expires")
    if isinstance(expires, (int, float)) and not isinstance(expires, bool):
        expires = timedelta(seconds=expires)
    if isinstance(expires, timedelta):  # of the whole: one moment for all its steps
        own["expires"] = datetime.now(UTC) + expires
    kept = dict(below)
    for pair in RIVALS:
        for mine, other in (pair, pair[::-1]):
            if mine & own.keys():
                kept = {key: value for key, value in kept.items() if key not in other}
    return {**kept, **own}


def _without(options: Mapping[str, Any], *, not_first: bool, not_last: bool) -> Mapping[str, Any]:
    left_out = (_FOR_THE_FIRST if not_first else ()) + (_FOR_THE_LAST if not_last else ())
    return {key: value for key, value in options.items() if key not in left_out}


def _task(step: Step, below: Mapping[str, Any]) -> Node:
    task = step.task
    app = task.app
    if app.seal is not None and app.seal.seals(task.name):
        raise app.seal.alone(task.name)
    encoded = _encoded(step)
    options = task.call_options(step.options, below)
    route = app.route(encoded, options)
    if len(encoded.body) > app.settings.max_message_size:
        raise InvalidMessage(
            f"{task.name}: its body takes {len(encoded.body):,} bytes, and the broker takes "
            f"{app.settings.max_message_size:,}; store the data elsewhere and send a reference"
        )
    node: Node = {
        "task": task.name,
        "id": options.task_id or uuid7(),
        "exchange": route.exchange,
        "key": route.routing_key,
        "body": json.loads(encoded.body),
        "app_id": app.name,
    }
    if step.is_open:
        node["into"] = task.filling.into
    if step.items is not None:
        node["each"] = "map"
    if encoded.version != 1:
        node["version"] = encoded.version
    _timed(node, options)
    place = {key: below[key] for key in PLACES if below.get(key) is not None}
    if place:
        node["headers"] = {**node.get("headers", {}), names.PLACE: json.dumps(place)}
    if isinstance(options, LinkedOptions):
        links = {"link": options.link, "link_error": options.link_error}
        return _linked(node, links, below)
    return node


def _encoded(step: Step) -> EncodedMessage:
    """The body of a call, as far as it is known."""
    task = step.task
    if step.items is not None:
        bodies = [task.encode(args, {}).body for args in step.items]
        body = b'{"items":[' + b",".join(bodies) + b"]}"
        return EncodedMessage(
            task.name, body, task.version, task.queue, NOTHING, task.partition_key
        )
    if step.is_open:
        values, body = task.filling.given(step.args, step.kwargs, is_open=True)
        return EncodedMessage(task.name, body, task.version, task.queue, values, task.partition_key)
    return task.encode(step.args, step.kwargs)


def _timed(node: Node, options: CallOptions) -> None:
    if options.priority is not None:
        node["priority"] = options.priority
    if options.countdown:
        node["countdown"] = options.countdown
    if options.eta is not None:
        node["eta"] = int(options.eta * 1000)
    if options.expires_in is not None:
        node["expires"] = options.expires_in
    if options.expires_at is not None:
        node["expires_at"] = int(options.expires_at * 1000)
    headers: dict[str, object] = dict(options.headers)
    if options.task_id is not None:
        headers[names.RUN] = uuid7()
    if headers:
        node["headers"] = headers


def _linked(node: Node, options: Mapping[str, Any], below: Mapping[str, Any]) -> Node:
    """A node with what its end starts: parts of the workflow, with the options for all of it.

    What ``link_error`` starts has no end: it is to run when the workflow's time has passed, too.
    """
    below = {key: value for key, value in below.items() if key in _FOR_LINKS}
    for name in LINKS:
        if works := options.get(name):
            node[name] = [_node(work, below) for work in works]
        below.pop("expires", None)
    return node
