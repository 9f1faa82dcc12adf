"""The messages of joins: what a group's members, and those who join them, tell each other.

They go to the queues of `rmqwork._topology.join_queues`, and are told apart by the header
``rmqwork-join``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rmqwork._messages import headers as names
from rmqwork._topology.join_queues import TYPE
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.splice import RawTail, dump
from rmqwork.types import Delivery, Publication


class Kind(StrEnum):
    """What a message says of a join."""

    OPEN = "open"
    """How many members the group has, and what comes after it; published before the members."""
    PART = "part"
    """The value of a member."""
    FAILED = "failed"
    """The failure of a member, which is the whole join's."""
    DONE = "done"
    """All that follows is published; what else there is of the join is to be dropped."""
    FENCE = "fence"
    """A consumer's own: what was in the queue before it has been delivered."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the join of a group is for.

    Args:
        size: members of the group.
        then: the frames that come after it.
        carry: what all steps share; its time is that of the opening.
    """

    size: int
    then: str
    carry: WorkflowContext


def opened(join: Mapping[str, Any], then: str, carry: WorkflowContext) -> Publication:
    """What opens a join.

    Raises:
        TooLarge: what comes after it is larger than a message may be.
    """
    members: dict[str, object] = {"size": join["size"], "id": carry.workflow}
    for name in ("reply_to", "app_id", "expires_at"):
        if (value := getattr(carry, name)) is not None:
            members[name] = value
    body = f'{dump(members)[:-1]},"then":[{then}]}}'.encode()
    carry.check(f"what comes after group {join['join']}", body)
    return _message(join["queue"], join["join"], Kind.OPEN, body, carry)


def read_opened(delivery_body: bytes, timestamp: float, max_size: int) -> Opened:
    """What an opening message says.

    Raises:
        ValueError: it cannot be read.
    """
    cut = RawTail(delivery_body.decode(), "then")
    values = cut.members
    try:
        carry = WorkflowContext(
            str(values["id"]),
            timestamp,
            values.get("reply_to"),
            values.get("app_id"),
            values.get("expires_at"),
            max_size,
        )
        return Opened(int(values["size"]), cut.raw.strip()[1:-1].strip(), carry)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no opening of a join: {error!r}") from error


def part(frame: Mapping[str, Any], value: bytes, carry: WorkflowContext) -> Publication:
    """The value of a group's member, for its join."""
    return _message(frame["queue"], frame["join"], Kind.PART, value, carry, frame["index"])


def failed_part(frame: Mapping[str, Any], failure: bytes, carry: WorkflowContext) -> Publication:
    """The failure of a group's member, for its join."""
    return _message(frame["queue"], frame["join"], Kind.FAILED, failure, carry, frame["index"])


def done(queue: str, join: str, now: float) -> Publication:
    """What says that a join has come to its end."""
    return _message(queue, join, Kind.DONE, b"{}", WorkflowContext("", now))


def fence(queue: str, name: str, now: float) -> Publication:
    """What comes back when all that was before it has."""
    return _message(queue, name, Kind.FENCE, b"{}", WorkflowContext("", now))


def _message(
    queue: str, join: str, kind: Kind, body: bytes, carry: WorkflowContext, index: int | None = None
) -> Publication:
    headers: dict[str, object] = {names.JOIN: kind.value}
    if carry.workflow:
        headers[names.WORKFLOW] = carry.workflow
    if index is not None:
        headers[names.INDEX] = index
    return Publication(
        "", queue, body, join, TYPE, headers, timestamp=int(carry.now), app_id=carry.app_id
    )


def kind_of(delivery: Delivery) -> Kind | None:
    """What a message of a shard says; None: it is none of ours."""
    try:
        return Kind(str(delivery.headers.get(names.JOIN))) if delivery.message_id else None
    except ValueError:
        return None
