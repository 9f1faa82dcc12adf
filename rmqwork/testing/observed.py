"""The worker as it is, with somebody who looks on."""

from __future__ import annotations

from collections.abc import Callable

from rmqwork.outcome import Outcome
from rmqwork.worker.held import Held
from rmqwork.worker.supervisor import Worker


class ObservedWorker(Worker):
    """Tells of each outcome before it is settled."""

    observe: Callable[[Held, Outcome | None], None]

    def finish(self, held: Held, outcome: Outcome | None, crashed: bool = False) -> None:
        """See `Worker.finish`."""
        self.observe(held, outcome)
        super().finish(held, outcome, crashed)
