"""What this worker remembers of deliveries whose channel was lost.

Three things can be under way when a channel ends, and the broker will deliver each again:

* an ack was sent, and nobody knows whether it arrived;
* the task has finished, and its outcome could not be settled;
* the task still runs.

A redelivery that is the same run (same queue, id, attempt, replay count and body) is settled by
what is remembered, or adopts the run, instead of running again. Each memory serves once.

That a message was moved is not remembered: a copy of it lives on, of the same id and attempt, and
would be taken for the one that was settled, and be lost. Without a memory it is moved twice.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

from rmqwork._worker.model.held import HeldDelivery, Key
from rmqwork._worker.policy.decide import Ack, Decision
from rmqwork.types import SettleChannel

_MAX_REMEMBERED: Final = 20_000
_V = TypeVar("_V")


class RedeliveryMemory:
    """Acks without proof, outcomes without a channel, and runs without a delivery."""

    def __init__(self, most: int = _MAX_REMEMBERED) -> None:
        self._most = most
        self._unproven: dict[SettleChannel, list[HeldDelivery]] = {}
        self._outcomes: OrderedDict[Key, Decision] = OrderedDict()
        self._running: OrderedDict[Key, HeldDelivery] = OrderedDict()

    def acked(self, held: HeldDelivery) -> None:
        """An ack was given to the channel; it is proven when the channel has been synced."""
        self._unproven.setdefault(held.delivery.channel, []).append(held)

    def unproven(self, channel: SettleChannel) -> int:
        """How many acks of a channel have no proof yet."""
        return len(self._unproven.get(channel, ()))

    def channels(self) -> list[SettleChannel]:
        """The channels with acks that have no proof yet."""
        return [channel for channel, helds in self._unproven.items() if helds]

    def proven(self, channel: SettleChannel, count: int) -> None:
        """The first ``count`` unproven acks of a channel have arrived."""
        helds = self._unproven.get(channel)
        if helds is not None:
            del helds[:count]

    def lost(self, channel: SettleChannel) -> None:
        """A channel ended: its unproven acks may have to be given again."""
        for held in self._unproven.pop(channel, ()):
            self.outcome(held, Ack())

    def outcome(self, held: HeldDelivery, decision: Decision) -> None:
        """A decision that could not be carried out, or only its ack not."""
        key = held.key
        if key is not None:
            self._running.pop(key, None)
            if not (held.continued and isinstance(decision, Ack)):
                _keep(self._outcomes, key, decision, self._most)

    def runs_on(self, held: HeldDelivery) -> None:
        """A task runs, or is about to, whose delivery was lost."""
        key = held.key
        if key is not None:
            _keep(self._running, key, held, self._most)

    def recall(self, held: HeldDelivery) -> Decision | HeldDelivery | None:
        """What is known of a redelivery: its decision, the run that it is, or nothing. Once."""
        key = held.key
        if key is None or not held.came_before:
            return None
        return self._outcomes.pop(key, None) or self._running.pop(key, None)

    def finished(self, held: HeldDelivery) -> None:
        """A run came to its end while its delivery is known."""
        if self._running:
            key = held.key
            if key is not None:
                self._running.pop(key, None)


def _keep(kept: OrderedDict[Key, _V], key: Key, value: _V, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
