"""Carry decisions out, in the order that loses nothing.

What follows from an outcome is published and confirmed before the delivery is acked. A decision
whose channel is gone is not carried out: it waits in `RedeliveryMemory` for the redelivery. A
consequence that is refused keeps its delivery and is tried again; it is never acked without.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Final

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._transport.reconnecting import backoff
from rmqwork._worker.model.held import HeldDelivery, Stage
from rmqwork._worker.policy.decide import Ack, Decision, HandBack, Hold, PublishThenAck
from rmqwork._worker.policy.unconfirmed import Remaining, remaining
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork.errors import PublishError, Unroutable

_log = logging.getLogger("rmqwork.worker.settling")
_PUBLISH_TIMEOUT: Final = 60.0
_PROOF_EVERY: Final = 1.0
_NOTHING: Final = Remaining((), None, 0)


class Settlement:
    """The one place that settles deliveries.

    Args:
        publisher: with its connection of its own, which never consumes.
        memory: of what could not be settled.
        done: called when a delivery is out of this worker's hands.
        repair: declares the topology again, when a consequence has nowhere to go.
    """

    def __init__(
        self,
        publisher: Publisher,
        memory: RedeliveryMemory,
        done: Callable[[HeldDelivery], None],
        repair: Callable[[], Awaitable[None]],
    ) -> None:
        self._publisher = publisher
        self._memory = memory
        self._done = done
        self._repair = repair
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._prover = self._loop.create_task(self._prove(), name="rmqwork-ack-proof")
        self.unsettled = 0
        """Outcomes that the broker was, perhaps, not told since it was last consumed from."""
        self.dropped_replies = 0
        """Replies that nobody could take any more."""
        self.open: set[HeldDelivery] = set()
        """Deliveries whose consequence is not confirmed yet."""

    def settle(self, held: HeldDelivery, decision: Decision) -> None:
        """Carry a decision out, now or as soon as it is safe."""
        held.stage = Stage.FINISHED
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
                self.open.add(held)
                self._publish(held, decision, 0)
            case Hold():
                raise TypeError("it keeps its delivery: see rmqwork._worker.partitions")

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
            self.unsettled += 1
        self._done(held)

    def _publish(self, held: HeldDelivery, decision: PublishThenAck, attempt: int) -> None:
        batch = Batch(decision.publications, _PUBLISH_TIMEOUT)

        def published(future: Future[list[PublishError | None]]) -> None:
            try:
                errors: list[Exception | None] = [*future.result()]
            except Exception as problem:
                errors = [problem] * len(decision.publications)
            self._published(held, decision, attempt, errors)

        batch.future.add_done_callback(published)
        self._publisher.submit(batch)

    def _published(
        self,
        held: HeldDelivery,
        decision: PublishThenAck,
        attempt: int,
        errors: Sequence[Exception | None],
    ) -> None:
        rest = remaining(decision.publications, errors) if any(errors) else _NOTHING
        self.dropped_replies += rest.dropped
        if not rest.publications:
            self.open.discard(held)
            if held.settleable:
                self._ack(held)
            else:
                self._remember(held, Ack())
            return
        _log.error(
            "%s keeps its delivery, its next step is not taken: %s", held.task_id, rest.error
        )
        if isinstance(rest.error, Unroutable):
            self._spawn(self._repair())
        first, *more = rest.publications
        again = PublishThenAck(first, tuple(more))
        self._loop.call_later(backoff(attempt), self._again, held, again, attempt + 1)

    def _again(self, held: HeldDelivery, decision: PublishThenAck, attempt: int) -> None:
        if held.settleable:
            self._publish(held, decision, attempt)
        else:
            self.open.discard(held)
            self._remember(held, decision)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:
                _log.warning("the topology could not be declared again: %s", error)

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _prove(self) -> None:
        """Now and then, learn by a round trip that acks have arrived, and forget them."""
        while True:
            await asyncio.sleep(_PROOF_EVERY)
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
