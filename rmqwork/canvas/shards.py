"""The queues in which groups are joined, and the messages that go there.

A fixed number of quorum queues with a single active consumer each: whoever consumes one joins the
groups whose ids lead to it. Kinds of messages, in the header ``rmqwork-join``:

* ``open``: how many members a group has, and what comes after it; published before the members;
* ``part``: the value of a member; ``failed``: the failure of one, which is the whole join's;
* ``done``: all that follows is published; the rest of the join's messages are to be dropped;
* ``fence``: an active consumer's own: what was in the queue before it has been delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from zlib import crc32

from rmqwork import headers as names
from rmqwork.canvas.carry import Carry
from rmqwork.canvas.splice import Cut, dump
from rmqwork.topology import Declaration, DeclareQueue
from rmqwork.types import Delivery, Publication

PREFIX: Final = "rmqwork.joins"
SHARDS: Final = 4
DEAD_LETTERS: Final = f"{PREFIX}.dlq"
TYPE: Final = "rmqwork.join"
"""The ``type`` of messages in these queues, which are no tasks."""
_HOLD_MOST: Final = 7 * 24 * 3600 * 1000
"""Milliseconds for which the broker lets a part wait unacked (RabbitMQ 3.12 and later)."""


class Kind(StrEnum):
    """What a message says of a join."""

    OPEN = "open"
    PART = "part"
    FAILED = "failed"
    DONE = "done"
    FENCE = "fence"


def queue_of(join: str) -> str:
    """The queue in which a group with this id is joined."""
    return f"{PREFIX}.{crc32(join.encode()) % SHARDS}"


def names_of_all() -> tuple[str, ...]:
    """The names of all shards."""
    return tuple(f"{PREFIX}.{number}" for number in range(SHARDS))


def plan() -> list[Declaration]:
    """The declarations of all shards and of their dead-letter queue."""
    unlimited = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
    arguments = {
        **unlimited,
        "x-single-active-consumer": True,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD_LETTERS,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-consumer-timeout": _HOLD_MOST,
    }
    return [
        DeclareQueue(DEAD_LETTERS, unlimited),
        *(DeclareQueue(name, arguments) for name in names_of_all()),
    ]


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
    carry: Carry


def opened(join: Mapping[str, Any], then: str, carry: Carry) -> Publication:
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
    cut = Cut(delivery_body.decode(), "then")
    values = cut.members
    try:
        carry = Carry(
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


def part(frame: Mapping[str, Any], value: bytes, carry: Carry) -> Publication:
    """The value of a group's member, for its join."""
    return _message(frame["queue"], frame["join"], Kind.PART, value, carry, frame["index"])


def failed_part(frame: Mapping[str, Any], failure: bytes, carry: Carry) -> Publication:
    """The failure of a group's member, for its join."""
    return _message(frame["queue"], frame["join"], Kind.FAILED, failure, carry, frame["index"])


def done(queue: str, join: str, carry: Carry) -> Publication:
    """What says that a join has come to its end."""
    return _message(queue, join, Kind.DONE, b"{}", carry)


def fence(queue: str, name: str, now: float) -> Publication:
    """What comes back when all that was before it has."""
    return _message(queue, name, Kind.FENCE, b"{}", Carry("", now))


def _message(
    queue: str, join: str, kind: Kind, body: bytes, carry: Carry, index: int | None = None
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
