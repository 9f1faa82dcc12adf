"""Carry decisions out, in the order that loses nothing.

What follows from an outcome is published and confirmed before the delivery is acked. A decision
whose channel is gone is not carried out: it waits in `RedeliveryMemory` for the redelivery. A
consequence that is refused keeps its delivery and is tried again; it is never acked without.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from rmqwork._publisher.until_confirmed import Remaining, Submitter, UntilConfirmed
from rmqwork._transport.reconnecting import backoff
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.copies import continues, is_copy
from rmqwork._worker.policy.decide import Ack, Decision, HandBack, Hold, PublishThenAck, stranded
from rmqwork._worker.policy.unconfirmed import is_hopeless, remaining
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork.types import Publication, SettleChannel

_log = logging.getLogger("rmqwork.worker.settling")
PATIENCE: Final = 30.0
"""Seconds for which a next step that has nowhere to go is tried again."""
OVERDUE: Final = 2.0
"""Seconds after which a delivery that waits for confirms counts as no work of this worker."""
PROOF_INTERVAL: Final = 1.0
"""Seconds between two looks at whether acks have arrived."""


class Settlement:
    """The one place that settles deliveries.

    Args:
        publisher: with its connection of its own, which never consumes.
        memory: of what could not be settled.
        done: called when a delivery is out of this worker's hands.
        repair: declares the topology again, when a consequence has nowhere to go.
        host: this worker's name, for the evidence.
        pause: seconds to wait after a consequence was refused so many times.
        patience: seconds for which a next step that has nowhere to go is tried again.
        proof_interval: seconds between two looks at whether acks have arrived.
    """

    def __init__(
        self,
        publisher: Submitter,
        memory: RedeliveryMemory,
        done: Callable[[HeldDelivery], None],
        repair: Callable[[], Awaitable[None]],
        *,
        host: str = "",
        pause: Callable[[int], float] = backoff,
        patience: float = PATIENCE,
        proof_interval: float = PROOF_INTERVAL,
    ) -> None:
        self.host = host
        self.patience = patience
        self._proof_interval = proof_interval
        self._publishing = UntilConfirmed(publisher, remaining, repair, pause=pause)
        self._memory = memory
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._prover = self._loop.create_task(self._prove(), name="rmqwork-ack-proof")
        self._unsettled = 0
        self.open: dict[HeldDelivery, float] = {}
        """Deliveries whose consequence is not confirmed yet."""

    @property
    def unsettled(self) -> int:
        """Outcomes that the broker was, perhaps, not told since it was last consumed from."""
        return self._unsettled

    def forget_unsettled(self) -> None:
        """Count anew: all is consumed again, so that what is not settled is delivered again."""
        self._unsettled = 0

    def overdue(self, queue: str) -> int:
        """How many deliveries of a queue have waited for the confirms of their consequences for
        longer than a broker that is well takes: they run no more, and others can.
        """
        if not self.open:
            return 0
        limit = monotonic() - OVERDUE
        return sum(since < limit and held.queue == queue for held, since in self.open.items())

    @property
    def dropped_replies(self) -> int:
        """Replies that nobody could take any more."""
        return self._publishing.dropped

    def settle(self, held: HeldDelivery, decision: Decision) -> None:
        """Carry a decision out, now or as soon as it is safe."""
        held.finish(
            continued=type(decision) is PublishThenAck and continues(held, decision.publication)
        )
        if not held.settleable:
            self._remember(held, decision)
            return
        match decision:
            case Ack():
                self._ack(held)
            case HandBack():
                held.delivery.channel.nack(held.delivery)
                self._done(held)
            case PublishThenAck():
                self.open[held] = monotonic()
                self._publishing.publish(decision.publications, _Consequence(self, held))
            case Hold():
                raise TypeError("it keeps its delivery: see rmqwork._worker.partitions")

    def settle_recalled(self, held: HeldDelivery, decision: Decision) -> None:
        """Carry out, for a redelivery, the decision that was remembered of it."""
        self._unsettled = max(0, self._unsettled - 1)
        self.settle(held, decision)

    def keep_open(self, held: HeldDelivery) -> None:
        """Have a shutdown wait for a delivery whose decision will be carried out soon."""
        self.open[held] = monotonic()

    def settle_kept(self, held: HeldDelivery, decision: Decision) -> None:
        """Carry out the decision about a delivery that was kept open."""
        self.open.pop(held, None)
        self.settle(held, decision)

    def channel_lost(self, channel: SettleChannel) -> None:
        """Remember what the end of a channel leaves unproven, and what is under way."""
        self._unsettled += self._memory.unproven(channel)
        self._memory.lost(channel)
        for held in self.open:
            if held.delivery.channel is channel:
                self._memory.runs_on(held)

    def _ack(self, held: HeldDelivery) -> None:
        held.delivery.channel.ack(held.delivery)
        self._memory.acked(held)
        self._done(held)

    def _remember(self, held: HeldDelivery, decision: Decision) -> None:
        """Its channel is gone: the decision waits for the redelivery."""
        if isinstance(decision, HandBack):  # the loss of its channel has handed it back
            self._memory.finished(held)
        else:
            self._memory.outcome(held, decision)
            self._unsettled += 1
        self._done(held)

    def confirmed(self, held: HeldDelivery) -> None:
        """All that follows from an outcome is confirmed: ack its delivery."""
        self.open.pop(held, None)
        if held.settleable:
            self._ack(held)
        else:
            self._remember(held, Ack())

    def goes_on(self, held: HeldDelivery, rest: PublishThenAck) -> bool:
        """Say whether what is left of a consequence is published now, or by the redelivery.

        Args:
            held: the delivery.
            rest: what is left.
        """
        if held.settleable:
            return True
        self.open.pop(held, None)
        self._remember(held, rest)
        return False

    async def _prove(self) -> None:
        """Now and then, learn by a round trip that acks have arrived, and forget them."""
        while True:
            await asyncio.sleep(self._proof_interval)
            await self.prove()

    async def prove(self) -> bool:
        """Make sure that the acks given so far have arrived; false where that is not known."""
        sure = True
        for channel in self._memory.channels():
            count = self._memory.unproven(channel)
            try:
                await channel.synced()
            except Exception:
                sure = False
            else:
                self._memory.proven(channel, count)
        return sure

    async def close(self, timeout: float) -> bool:
        """Wait for open consequences and the proof of all acks; false where something is left."""
        self._prover.cancel()
        end = self._loop.time() + timeout
        while self.open and self._loop.time() < end:
            await asyncio.sleep(0.01)
        try:
            sure = await asyncio.wait_for(self.prove(), max(0.5, end - self._loop.time()))
        except TimeoutError:
            sure = False
        return sure and not self.open


class _Consequence:
    """What a delivery's outcome has published, before its ack."""

    __slots__ = ("_begun", "_given_up", "_held", "_settlement")

    def __init__(self, settlement: Settlement, held: HeldDelivery) -> None:
        self._settlement = settlement
        self._held = held
        self._begun = monotonic()
        self._given_up = False

    def confirmed(self) -> None:
        """The delivery may be acked."""
        self._settlement.confirmed(self._held)

    def refused(self, rest: Remaining) -> tuple[Publication, ...] | None:
        """Keep the delivery; where its next step can never be taken, dead-letter it instead."""
        late = monotonic() - self._begun >= self._settlement.patience
        for publication, error in zip(rest.publications, rest.errors, strict=True):
            if not is_copy(self._held, publication) and is_hopeless(error, late=late):
                alone, self._given_up = self._given_up, True
                decision = stranded(self._held, error, self._settlement.host, alone=alone)
                return decision.publications
        _log.error(
            "%s keeps its delivery, its next step is not taken: %s",
            self._held.task_id,
            rest.errors[0],
        )
        return None

    def again(self, rest: tuple[Publication, ...]) -> bool:
        """Go on, if the delivery can still be acked."""
        first, *more = rest
        return self._settlement.goes_on(self._held, PublishThenAck(first, tuple(more)))
