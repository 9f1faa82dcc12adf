"""The worker as it is, with somebody who looks on."""

from __future__ import annotations

from collections.abc import Callable

from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.worker import Worker
from rmqwork.types import Outcome


class ObservedWorker(Worker):
    """Tells of each outcome before it is settled."""

    observe: Callable[[HeldDelivery, Outcome | None], None]

    def finish(self, held: HeldDelivery, outcome: Outcome | None, crashed: bool = False) -> None:
        """See `Worker.finish`."""
        self.observe(held, outcome)
        super().finish(held, outcome, crashed)
