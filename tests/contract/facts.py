"""What differs between the brokers behind the port: facts, each of which a test checks.

Measured on single nodes; a new version gets a row here when a test of this suite says so.

| fact                          | 4.3         | 4.0 to 4.2  | 3.10 to 3.13 |
| ----------------------------- | ----------- | ----------- | ------------ |
| nack counts as a failure      | no          | yes         | yes          |
| a closed channel counts       | yes         | yes         | yes          |
| a closed connection counts    | yes         | yes         | yes          |
| a dead letter keeps its count | yes         | no          | no           |
| a dead letter keeps its CC    | yes         | yes (4.0.5) | no           |
| quorum queues have priorities | 32, strict  | 2, mixed    | none         |
| largest message               | 16 MiB      | 16 MiB      | 128 MiB      |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Facts:
    """How one transport behaves where transports differ.

    Args:
        nack_counts: whether `ConsumeChannel.nack` raises a quorum queue's delivery count.
        quorum_priorities: ``strict``, ``mixed`` (a higher one first, mostly) or ``none``.
        largest_message: bytes of body that the broker takes.
        keeps_cc: whether the header CC stays when a queue's dead letters have a key of their own.
        counts_go_on: whether the delivery count goes on in the quorum queue for dead letters.
    """

    nack_counts: bool
    quorum_priorities: Literal["strict", "mixed", "none"]
    largest_message: int
    counts_go_on: bool
    keeps_cc: bool


def rabbitmq_facts(version: tuple[int, ...]) -> Facts:
    """The facts of a RabbitMQ version."""
    if version >= (4, 3):
        return Facts(False, "strict", 16 << 20, True, True)
    if version >= (4, 0):
        return Facts(True, "mixed", 16 << 20, False, True)
    return Facts(True, "none", 128 << 20, False, False)
