"""Publishing a workflow, and the result that its publisher gets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rmqwork._canvas.freeze import Node, freeze
from rmqwork._canvas.links import LinkedOptions, parse
from rmqwork._canvas.spec import (
    NOTHING,
    Chain,
    Group,
    Step,
    WorkflowSpec,
    is_open,
    steps_of,
)
from rmqwork._messages import headers as names
from rmqwork._messages.ids import uuid7
from rmqwork._publisher.sender import warn_on_loop
from rmqwork._results.group import GroupResult, nothing_to_do
from rmqwork._workflows.context import TooLarge, WorkflowContext
from rmqwork._workflows.document import Workflow, attach
from rmqwork._workflows.flow import launch
from rmqwork.errors import ConfigurationError, InvalidMessage
from rmqwork.types import Publication

if TYPE_CHECKING:
    from rmqwork._canvas.ports import PublishingApp
    from rmqwork._messages.encoded import EncodedMessage
    from rmqwork._messages.options import CallOptions
    from rmqwork._results.result import AsyncResult


def start(work: WorkflowSpec, verbs: tuple[str, str]) -> AsyncResult[Any]:
    """Publish what a workflow begins with; returns when the broker has confirmed it.

    Args:
        work: what is to run.
        verbs: what was called, and its twin for asyncio.

    Raises:
        ConfigurationError, InvalidMessage, PublishError: see `Signature.apply_async`.
    """
    if isinstance(work, Step) and work.items is None:
        encoded, options = _encoded(work)
        return work.task.app.publish_encoded(encoded, options, verbs)
    warn_on_loop(*verbs)
    app = _app_of(work)
    if app is None:
        return _nothing(work)
    timeout = _timeout(work)
    app.asking.begin(timeout)
    publications, result = compose_workflow(app, work)
    app.send(publications, timeout)
    return result


async def astart(work: WorkflowSpec) -> AsyncResult[Any]:
    """`start` for asyncio."""
    if isinstance(work, Step) and work.items is None:
        encoded, options = _encoded(work)
        return await work.task.app.apublish_encoded(encoded, options)
    app = _app_of(work)
    if app is None:
        return _nothing(work)
    timeout = _timeout(work)
    await app.asking.abegin(timeout)
    publications, result = compose_workflow(app, work)
    await app.asend(publications, timeout)
    return result


def compose_workflow(
    app: PublishingApp, work: WorkflowSpec, below: Mapping[str, Any] = NOTHING
) -> tuple[list[Publication], AsyncResult[Any]]:
    """What a workflow begins with, and its result.

    Args:
        app: that publishes.
        work: what is to run.
        below: options for all in it that says nothing else.

    Raises:
        ConfigurationError, InvalidMessage: see `freeze`.
    """
    if is_open(work):
        names = ", ".join(dict.fromkeys(s.task.name for s in steps_of(work) if s.is_open))
        raise ConfigurationError(f"nothing is before {names}: call it with a value")
    node = freeze(work, below)
    workflow = uuid7()
    result = results_of(app, node, workflow)
    carry = WorkflowContext(
        workflow,
        time.time(),
        app.asking.reply_queue,
        app.name,
        max_size=app.settings.max_message_size,
    )
    try:
        return launch(node, None, "", carry), result
    except TooLarge as error:
        raise InvalidMessage(str(error)) from None


def attach_links(
    app: PublishingApp, publication: Publication, options: LinkedOptions
) -> tuple[Publication, str, tuple[AsyncResult[Any], ...]]:
    """Let a publication carry what starts after it: ``link`` and ``link_error``.

    Args:
        app: that publishes.
        publication: of one call.
        options: of the call.

    Returns:
        the publication, the workflow's id, and the results of what starts with its value.

    Raises:
        ConfigurationError, InvalidMessage: see `freeze`.
    """
    workflow = Workflow(
        uuid7(),
        link=tuple(freeze(work) for work in options.link),
        link_error=tuple(freeze(work) for work in options.link_error),
    )
    headers = dict(publication.headers)
    body, content_type, headers = attach(workflow, publication.body, headers)
    linked = replace(publication, body=body, content_type=content_type, headers=headers)
    return linked, workflow.id, tuple(results_of(app, node, workflow.id) for node in workflow.link)


def results_of(
    app: PublishingApp, node: Node, workflow: str, parent: AsyncResult[Any] | None = None
) -> AsyncResult[Any]:
    """The result of a node, with the results of what is in it and before it.

    Args:
        app: that publishes.
        node: of the workflow.
        workflow: its id.
        parent: the result of what is before the node.
    """

    def of_links() -> tuple[AsyncResult[Any], ...]:
        return tuple(results_of(app, link, workflow) for link in node.get("link", ()))

    if "task" in node:
        run = node.get("headers", {}).get(names.RUN)
        result = app.asking.result_in(node["id"], node["task"], parent, of_links(), run)
        result.workflow = workflow
        return result
    if "chain" in node:
        for step in node["chain"]:
            parent = results_of(app, step, workflow, parent)
        if parent is None:
            return nothing_to_do()
        if not isinstance(parent, GroupResult):  # whose children are its members
            parent.children += of_links()
        return parent
    members = [results_of(app, member, workflow, parent) for member in node["group"]]
    group: GroupResult[Any]
    group = GroupResult(node.get("result") or node["id"], members, parent=parent)
    group.workflow = workflow
    return group


def _encoded(step: Step) -> tuple[EncodedMessage, CallOptions]:
    task = step.task
    return task.encode(step.args, step.kwargs), task.call_options(step.options, NOTHING)


def _app_of(work: WorkflowSpec) -> PublishingApp | None:
    """The app that publishes: that of the first task; None: there is nothing to publish."""
    steps = steps_of(work)
    return steps[0].task.app if steps else None


def _nothing(work: WorkflowSpec) -> AsyncResult[Any]:
    """The result of an empty chain or group."""
    return GroupResult(uuid7(), ()) if isinstance(work, Group) else nothing_to_do()


def _timeout(work: WorkflowSpec) -> float | None:
    """The ``timeout`` of a workflow's options; all others are checked task by task."""
    options: Mapping[str, Any] = work.options
    if not options or isinstance(work, Step):
        return None
    what = "chain" if isinstance(work, Chain) else "group"
    return parse(options, what, time.time()).timeout
