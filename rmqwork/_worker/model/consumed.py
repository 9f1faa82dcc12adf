"""`Consumed`: a queue, or one partition of it, that is consumed on a channel of its own."""

from __future__ import annotations

from typing import NamedTuple


class Consumed(NamedTuple):
    """What is consumed on a channel of its own.

    Args:
        queue: the app's queue.
        sources: the broker's queues that it is read from.
        prefetch: unsettled deliveries at most, of each.
        timeout: seconds in which a delivery must be settled; None = as the broker says.
        partition: the one that this is; None = the queue has none.
    """

    queue: str
    sources: tuple[str, ...]
    prefetch: int
    timeout: float | None = None
    partition: str | None = None
