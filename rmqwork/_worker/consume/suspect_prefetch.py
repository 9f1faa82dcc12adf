"""How many messages of a suspects queue a worker holds at once.

What is unsettled when a whole pod dies gets a delivery count, the guilty and the innocent alike: so
the count of a message accuses it only if it was held alone. Two rules make that so, and yet clear
hundreds in seconds:

* Those of **first suspicion** (count 0 in this queue) are held many at a time, and run in groups
  that an executor's death splits. The one count that they can get together is free: it is not
  added up to a verdict (`rmqwork._worker.policy.crash_policy.died_alone`).
* One **with a count** is held alone. Where it comes among others it is not run: this worker ends
  its consumer, hands it back, has the others run to their end, and goes on one by one.

Only where a hand-back does not count (RabbitMQ 4.3); on older brokers all are held one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from rmqwork._worker.dispatch.quarantine import group_size
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.crash_policy import delivery_count, held_together

_MAX_GROUP: Final = 32


class Taps(Protocol):
    """What consumes the suspects queues."""

    server: tuple[int, ...]

    def at_once(self, queue: str) -> int:
        """The prefetch that a queue's suspects have, or are about to have."""
        ...

    def set_at_once(self, queue: str, prefetch: int) -> None:
        """Change it; 0: no consumer."""


class SuspectPrefetch:
    """Sees to it that a message with a count is held alone.

    Args:
        taps: consumes.
        slots: tasks at once in each executor, by lane.
        processes: isolated executors at most.
    """

    def __init__(self, taps: Taps, slots: Mapping[str, int], processes: int) -> None:
        self._taps = taps
        group = group_size(slots)
        # The next group is here when one ends.
        self._many = min(_MAX_GROUP, 2 * processes * group) if processes * group > 1 else 1
        self._hands: dict[str, set[HeldDelivery]] = {}

    def came(self, held: HeldDelivery) -> bool:
        """A message has come; False: it is one of a suspects queue, and not to run here now."""
        if not held.from_suspects:
            return True
        hand = self._hands.setdefault(held.queue, set())
        hand.add(held)
        at_once = self._taps.at_once(held.queue)
        if at_once == 0:
            return False
        held_now = self._open(held.queue)
        if len(held_now) > 1 and not all(is_first(one) for one in held_now):
            self._taps.set_at_once(held.queue, 0)
            return False
        widen = at_once == 1 and self._many > 1 and held_together(self._taps.server)
        if widen and is_first(held):
            self._taps.set_at_once(held.queue, self._many)
        return True

    def gone(self, held: HeldDelivery) -> None:
        """A message was settled, or its channel has ended."""
        if held.from_suspects:
            self._hands.get(held.queue, set()).discard(held)
            self.ended(held.queue)

    def ended(self, queue: str) -> None:
        """A suspects queue may have no consumer now: it gets one when nothing of it is held."""
        if self._taps.at_once(queue) == 0 and not self._open(queue):
            self._taps.set_at_once(queue, 1)

    def _open(self, queue: str) -> set[HeldDelivery]:
        hand = {held for held in self._hands.get(queue, ()) if held.settleable}
        self._hands[queue] = hand
        return hand


def is_first(held: HeldDelivery) -> bool:
    """Whether a message is in a suspects queue, and nothing has died with it there."""
    return held.from_suspects and delivery_count(held.delivery) == 0
