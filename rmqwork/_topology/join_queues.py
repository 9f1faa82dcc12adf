"""The queues in which groups are joined: a few for the whole virtual host.

A group's id leads to one of them. Each is a quorum queue with a single active consumer, which
joins all groups of its queue and keeps their messages unacked until what follows is published. A
queue a group would never give its Erlang atom back, and cost 10 ms (measured on RabbitMQ 4.3.6).
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from rmqwork._topology.topology import Declaration, DeclareQueue

PREFIX: Final = "rmqwork.joins."
SHARDS: Final = 4
DEAD_LETTERS: Final = f"{PREFIX}dlq"
TYPE: Final = "rmqwork.join"
"""The ``type`` of messages in these queues, which are no tasks."""
PREFETCH: Final = 65_535
"""Unacked messages at most: what AMQP can say (0, no limit, is 2,000 for a quorum queue)."""
MEMBERS_MOST: Final = 60_000
"""Members of one group that is joined."""
_HOLD_MOST: Final = 7 * 24 * 3600 * 1000
"""Milliseconds for which the broker lets a message wait unacked (RabbitMQ 3.12 and later; before,
the channel is closed after 30 minutes, and all comes again)."""


def queue_of(join: str) -> str:
    """The queue in which a group with this id is joined."""
    return f"{PREFIX}{crc32(join.encode()) % SHARDS}"


def names() -> tuple[str, ...]:
    """The names of the queues."""
    return tuple(f"{PREFIX}{number}" for number in range(SHARDS))


def plan() -> list[Declaration]:
    """The declarations of the queues and of their dead-letter queue."""
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
        *(DeclareQueue(name, arguments) for name in names()),
    ]
