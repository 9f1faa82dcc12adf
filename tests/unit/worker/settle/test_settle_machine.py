"""Random faults against settlement and memory, with a model of the broker that keeps count.

Whatever order things happen in, each message's task comes to its end exactly once, its consequence
is confirmed at most once, nothing is acked before that, and no tag is settled twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rmqwork._publisher.batch import Batch
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.decide import HandBack, decide
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork._worker.settle.settlement import Settlement
from rmqwork.errors import Nacked
from rmqwork.types import Delivery, Evidence, Failure, Outcome, Reason, RetryOutcome, Success
from tests.unit.fakes import delivery

EVIDENCE = Evidence("ValueError", "no")
OUTCOMES: dict[str, Outcome] = {
    "ok": Success(0.1),
    "retry": RetryOutcome(0.1, 5.0, True, EVIDENCE),
    "failed": Failure(0.1, Reason.FAILED, EVIDENCE),
}


@dataclass(eq=False)
class Message:
    """A message in its queue, and what has become of it."""

    id: str
    delivered: bool = False
    ended: int = 0
    """Runs that came to their end."""
    needs_confirm: bool = False
    confirmed: int = 0
    gone: bool = False


@dataclass(eq=False)
class Channel:
    """The broker's side of a channel: what is unacked, and settlements still on the wire."""

    broker: SettleMachine
    is_open: bool = True
    unacked: dict[int, Message] = field(default_factory=dict)
    wire: list[tuple[Callable[[Message], None], int]] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)
    tags: int = 0

    def ack(self, one: Delivery) -> None:
        message = self._settle(one.tag)
        assert message.ended == 1, "acked, and it never came to its end"
        assert message.confirmed or not message.needs_confirm, "acked before its consequence"
        self.wire.append((self.broker.remove, one.tag))

    def nack(self, one: Delivery) -> None:
        message = self._settle(one.tag)
        assert message.ended == 0, "handed back, and it had come to its end"
        self.wire.append((self.broker.queue.append, one.tag))

    def _settle(self, tag: int) -> Message:
        assert self.is_open, "settled on a channel that is gone"
        assert tag not in self.settled, "settled twice"
        self.settled.add(tag)
        return self.unacked[tag]

    def arrive(self, number: int) -> None:
        """The first settlements on the wire reach the broker."""
        for effect, tag in self.wire[:number]:
            effect(self.unacked.pop(tag))
        del self.wire[:number]

    async def synced(self) -> None:
        if not self.is_open:
            raise ConnectionError
        self.arrive(len(self.wire))


class SettleMachine(RuleBasedStateMachine):
    """The worker's side is as in `rmqwork._worker.worker`, without its processes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.messages: dict[str, Message] = {}
        self.queue: list[Message] = []
        self.channel = Channel(self)
        self.publishing: list[Batch] = []
        self.ready: list[HeldDelivery] = []
        self.running: list[HeldDelivery] = []
        self.numbers = 0
        self.memory = RedeliveryMemory()
        self.done: Counter[int] = Counter()
        self.settlement: Settlement
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        publisher: Any = self
        self.settlement = Settlement(
            publisher, self.memory, self._done, self._nothing, pause=lambda failed: 0.0
        )

    def submit(self, batch: Batch) -> None:
        """The publisher's part: the batch is under way until a rule answers it."""
        self.publishing.append(batch)

    def _done(self, held: HeldDelivery) -> None:
        self.done[held.number] += 1

    async def _nothing(self) -> None:
        pass

    def remove(self, message: Message) -> None:
        """The broker has an ack."""
        assert not message.gone
        message.gone = True

    def _turn(self) -> None:
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))

    # ── what can happen ───────────────────────────────────────────────────────────────────────

    @rule()
    def publish(self) -> None:
        message = Message(f"id-{len(self.messages)}")
        self.messages[message.id] = message
        self.queue.append(message)

    @precondition(lambda self: self.queue and self.channel.is_open)
    @rule()
    def deliver(self) -> None:
        message, channel = self.queue.pop(0), self.channel
        channel.tags += 1
        channel.unacked[channel.tags] = message
        one = delivery(channel, channel.tags, message_id=message.id, redelivered=message.delivered)
        message.delivered = True
        self.numbers += 1
        held = HeldDelivery(self.numbers, one, "q", message.id, 1)
        known = self.memory.recall(held)
        if isinstance(known, HeldDelivery):
            known.delivery = one
        elif known is not None:
            self.settlement.settle(held, known)
        else:
            self.ready.append(held)

    @precondition(lambda self: self.ready)
    @rule()
    def start(self) -> None:
        self.running.append(self.ready.pop(0))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 9), outcome=st.sampled_from(sorted(OUTCOMES)))
    def finish(self, which: int, outcome: str) -> None:
        held = self.running.pop(which % len(self.running))
        message = self.messages[held.task_id]
        message.ended += 1
        message.needs_confirm = outcome != "ok"
        self.memory.finished(held)
        self.settlement.settle(held, decide(held, OUTCOMES[outcome], "host"))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 9))
    def hand_back(self, which: int) -> None:
        """A run is ended before its end."""
        held = self.running.pop(which % len(self.running))
        self.memory.finished(held)
        self.settlement.settle(held, HandBack())

    @precondition(lambda self: self.ready)
    @rule()
    def hand_back_unstarted(self) -> None:
        self.settlement.settle(self.ready.pop(), HandBack())

    @precondition(lambda self: self.publishing)
    @rule(which=st.integers(0, 9))
    def confirm(self, which: int) -> None:
        [entry] = self.publishing.pop(which % len(self.publishing)).entries
        self.messages[entry.publication.message_id].confirmed += 1
        entry.finish(None)
        self._turn()

    @precondition(lambda self: self.publishing)
    @rule(which=st.integers(0, 9))
    def refuse(self, which: int) -> None:
        [entry] = self.publishing.pop(which % len(self.publishing)).entries
        entry.finish(Nacked("full"))
        self._turn()

    @precondition(lambda self: self.channel.wire)
    @rule()
    def arrive(self) -> None:
        self.channel.arrive(1)

    @precondition(lambda self: self.channel.is_open)
    @rule(arrived=st.integers(0, 5))
    def lose(self, arrived: int) -> None:
        """The channel ends; of what was on the wire, some has arrived, and the rest comes again."""
        channel = self.channel
        channel.arrive(arrived)
        channel.wire.clear()
        channel.is_open = False
        self.queue[:0] = channel.unacked.values()
        self.memory.lost(channel)
        self.ready = [held for held in self.ready if held.delivery.channel is not channel]
        for held in (*self.running, *self.settlement.open):
            if held.delivery.channel is channel:
                self.memory.runs_on(held)

    @precondition(lambda self: not self.channel.is_open)
    @rule()
    def reconnect(self) -> None:
        self.channel = Channel(self)

    @rule()
    def prove(self) -> None:
        self.loop.run_until_complete(self.settlement.prove())

    # ── what must hold ────────────────────────────────────────────────────────────────────────

    @invariant()
    def no_message_forks(self) -> None:
        for message in self.messages.values():
            assert message.ended <= 1, f"{message.id} came to its end {message.ended} times"
            assert message.confirmed <= 1, f"{message.id} forked into {message.confirmed} copies"

    @invariant()
    def each_delivery_leaves_once(self) -> None:
        assert not self.done or max(self.done.values()) == 1

    @invariant()
    def what_is_gone_was_done(self) -> None:
        for message in self.messages.values():
            assert not message.gone or message.ended == 1

    def teardown(self) -> None:
        """When all faults end, every message comes to its end, and nothing is left."""
        try:
            if not self.channel.is_open:
                self.reconnect()
            for _ in range(3 * len(self.messages) + 3):
                while self.queue:
                    self.deliver()
                while self.ready:
                    self.start()
                while self.running:
                    self.finish(0, "retry")
                while self.publishing:
                    self.confirm(0)
                self._turn()
                self.channel.arrive(len(self.channel.wire))
            assert not self.queue
            assert not self.channel.unacked
            assert not self.settlement.open
            for message in self.messages.values():
                assert message.gone
                assert (message.ended, message.confirmed) == (1, int(message.needs_confirm))
            self.each_delivery_leaves_once()
        finally:
            self.loop.run_until_complete(self.settlement.close(0.1))
            self._turn()
            self.loop.close()


TestSettleMachine = SettleMachine.TestCase
TestSettleMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
