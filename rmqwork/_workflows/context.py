"""`WorkflowContext`: what goes from step to step of a workflow, besides the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rmqwork.errors import InvalidMessage

MAX_SIZE: Final = 16 << 20
"""Bytes of a body that RabbitMQ takes by default."""


class TooLarge(InvalidMessage):
    """A value makes the next step's message larger than the broker takes, or a group has more
    members than a join can hold."""


@dataclass(frozen=True, slots=True)
class WorkflowContext:
    """What goes from step to step.

    Args:
        workflow: its id.
        now: seconds since the epoch.
        reply_to: the queue that wants the results of all steps.
        app_id: the publishing app's name.
        expires_at: milliseconds since the epoch after which no step may start.
        max_size: bytes of a body at most.
    """

    workflow: str
    now: float
    reply_to: str | None = None
    app_id: str | None = None
    expires_at: int | None = None
    max_size: int = MAX_SIZE

    def check(self, what: str, body: bytes) -> None:
        """Refuse a body that the broker would not take.

        Raises:
            TooLarge: see above.
        """
        if len(body) > self.max_size:
            raise TooLarge(
                f"{what} would take {len(body):,} bytes of {self.max_size:,}; let the steps pass "
                "references instead of data"
            )
