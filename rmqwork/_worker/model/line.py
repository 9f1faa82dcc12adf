"""`Line`: what a worker has of one partition."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rmqwork._worker.model.held import HeldDelivery


@dataclass(slots=True, eq=False)
class Line:
    """One partition: its first message, and one that came while that still ran.

    Args:
        head: the first message.
        behind: the one that came while ``head`` still ran, whose connection was lost.
        timer: of the next attempt of ``head``.
        until: when it is offered to other workers; 0 = not known yet.
    """

    head: HeldDelivery | None = None
    behind: HeldDelivery | None = None
    timer: asyncio.TimerHandle | None = None
    until: float = 0.0

    def forget(self) -> None:
        """Nothing is here any more."""
        self.head = None
        self.stop_timer()

    def stop_timer(self) -> None:
        """The next attempt comes otherwise."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
