"""Which delivery runs next: strict priority among queues, or weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from rmqwork._worker.model.held import HeldDelivery


class Ready:
    """Deliveries that wait for an executor, by queue and lane.

    Args:
        queues: ``(name, weight)`` in the order in which they are served. A weight of None gives
            strict priority: a later queue is served when all before it are empty. With weights,
            queues are served in proportion (smooth weighted round robin).
    """

    def __init__(self, queues: Sequence[tuple[str, int | None]]) -> None:
        self._order = [name for name, _ in queues]
        self._weights = {name: weight for name, weight in queues if weight is not None}
        self._credit = dict.fromkeys(self._weights, 0)
        self._waiting: dict[tuple[str, str], deque[HeldDelivery]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[HeldDelivery]:
        return (held for waiting in self._waiting.values() for held in waiting)

    def add(self, held: HeldDelivery) -> None:
        """Put a delivery behind the others of its queue."""
        self._of(held).append(held)
        self._count += 1

    def put_back(self, helds: Iterable[HeldDelivery]) -> None:
        """Put deliveries, given in delivery order, before the others of their queue."""
        for held in reversed(list(helds)):
            self._of(held).appendleft(held)
            self._count += 1

    def next(self, lane: str) -> HeldDelivery | None:
        """Take the delivery that is to run next in a lane, or None."""
        waiting = [name for name in self._order if self._waiting.get((name, lane))]
        if not waiting:
            return None
        self._count -= 1
        return self._waiting[self._choose(waiting), lane].popleft()

    def has(self, lane: str) -> bool:
        """Whether anything waits in a lane."""
        return any(waiting for (_, of_lane), waiting in self._waiting.items() if of_lane == lane)

    def forget(self, channel: object) -> None:
        """Forget the deliveries of a channel that has ended."""
        for key, waiting in self._waiting.items():
            kept = deque(held for held in waiting if held.delivery.channel is not channel)
            self._count -= len(waiting) - len(kept)
            self._waiting[key] = kept

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted, in delivery order."""
        taken: list[HeldDelivery] = []
        for key, waiting in self._waiting.items():
            kept: deque[HeldDelivery] = deque()
            for held in waiting:
                (taken if unwanted(held) else kept).append(held)
            self._waiting[key] = kept
        self._count -= len(taken)
        return sorted(taken, key=lambda held: held.number)

    def clear(self) -> list[HeldDelivery]:
        """Take all, in delivery order."""
        taken = sorted(
            (held for waiting in self._waiting.values() for held in waiting),
            key=lambda held: held.number,
        )
        self._waiting.clear()
        self._count = 0
        return taken

    def _of(self, held: HeldDelivery) -> deque[HeldDelivery]:
        return self._waiting.setdefault((held.queue, held.lane), deque())

    def _choose(self, waiting: list[str]) -> str:
        if len(waiting) == 1 or waiting[0] not in self._weights:
            return waiting[0]
        total = 0
        for name in waiting:
            weight = self._weights.get(name, 1)
            self._credit[name] = self._credit.get(name, 0) + weight
            total += weight
        best = max(waiting, key=lambda name: self._credit[name])
        self._credit[best] -= total
        return best
