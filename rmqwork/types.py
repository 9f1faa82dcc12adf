"""The values that travel between the layers; no I/O, no behaviour.

A message goes ``task -> Publication -> transport -> Delivery -> executor -> Outcome -> settle``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Header = str | int | bool
"""What a header of ours may hold: text, a 64-bit integer or a truth value (no floats: AMQP 0-9-1
clients disagree about them)."""

Headers = Mapping[str, object]
"""The headers of a message as they arrived: whatever a foreign producer has put there."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One message on its way to the broker.

    Args:
        exchange: its exchange; the empty string is the default exchange (routes by queue name).
        routing_key: at most 255 bytes.
        body: bytes as they go over the wire.
        message_id: the task's id.
        type: the task's name, or None for messages that are no tasks.
        headers: small; all properties must fit one frame.
        due: when it is to be delivered, in seconds since the epoch; None = now. A message with a
            due time travels through the delay queues.
    """

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    type: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    due: float | None = None
    priority: int | None = None
    content_type: str | None = "application/json"
    content_encoding: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    timestamp: int | None = None
    app_id: str | None = None


class Verdict(Enum):
    """What became of a publication."""

    CONFIRMED = "confirmed"
    """The broker has it, and answers for it."""
    RETURNED = "returned"
    """No queue for its route."""
    NACKED = "nacked"
    """A queue refused it: full."""
    REFUSED = "refused"
    """The broker will never take it: too large, or this user may not write there."""
    LOST = "lost"
    """The connection or channel ended before an answer: unknown."""


@dataclass(slots=True)
class Delivery:
    """One message that the broker has handed to us, and that we have to settle.

    ``channel`` is the consume channel that it came on, and the only one on which it can be
    settled; ``tag`` is its delivery tag there.
    """

    channel: object
    tag: int
    queue: str
    exchange: str
    routing_key: str
    redelivered: bool
    body: bytes
    headers: Headers
    message_id: str | None
    type: str | None
    content_type: str | None
    content_encoding: str | None
    correlation_id: str | None
    reply_to: str | None
    priority: int | None
    timestamp: int | None
    app_id: str | None


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers at the other end of a connection."""

    product: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))}"
