"""Memory and a RabbitMQ 4.3, given the same random operations, show the same.

After each operation the two are compared: what the queues hold, what consumers and `get` were
delivered (order, counts, deaths, flags), how publishes ended.

    RMQWORK_SEQUENCES=500 pytest tests/contract/test_random_operations.py
    RMQWORK_SEED=12345 pytest …                     # the same sequences again

Not compared, because RabbitMQ itself leaves it open: how two consumers share a queue, and when a
bounded quorum queue notices that it is full.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rmqwork._transport.connecting import connect
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.clock import ManualClock
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork.types import Publication
from tests.contract.sides import Side, agree, world

SEQUENCES = int(os.environ.get("RMQWORK_SEQUENCES", "15"))
STEPS = 25
QUEUES = ("quorum", "limited", "classic", "ranked", "full", "dead")
KEYS = ("a.x", "a.b", "b", "go", "go.b", "nowhere", "")
HEADERS: tuple[dict[str, object], ...] = (
    {},
    {"k": 1},
    {"k": 1, "s": "x"},
    {"k": "1", "s": "x"},
    {"t": True},
    {"t": 1},
    {"CC": ["a.z"]},
)
priorities = st.none() | st.sampled_from([0, 1, 3, 4, 5, 31, 40])
queues = st.sampled_from(QUEUES)
places = st.integers(0, 1000)
hows = st.sampled_from(["ack", "nack", "reject"])


class Operations(RuleBasedStateMachine):
    """The two brokers side by side."""

    url: ClassVar[str]
    run: ClassVar[Callable[[Coroutine[Any, Any, Any]], Any]]
    counter = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.counter)
        plan, self.names = world(f"r{self.number}")
        self.broker = MemoryBroker(f"r{self.number}", ManualClock())
        self.memory = Side(MemoryConnector(self.broker))
        self.real = Side(connect([self.url]))
        self.bodies = itertools.count()
        for side in (self.memory, self.real):
            type(self).run(side.open(plan))

    def both(self, operate: Callable[[Side], Coroutine[Any, Any, Any]]) -> None:
        """Do the same to both, compare what they say, then what they show."""

        async def do() -> None:
            ours, theirs = await operate(self.memory), await operate(self.real)
            assert theirs == ours, f"RabbitMQ: {theirs}, memory: {ours}"
            shown = [self.names[name] for name in (*QUEUES, "expiring")]
            await agree(self.memory, self.real, shown)

        type(self).run(do())

    def publication(self, exchange: str, key: str, **rest: Any) -> Publication:
        number = next(self.bodies)
        return Publication(exchange, key, b"%d" % number, f"id-{number}", **rest)

    @rule(queue=queues, ranks=st.lists(priorities, min_size=1, max_size=5))
    def publish_to_a_queue(self, queue: str, ranks: list[int | None]) -> None:
        sent = [self.publication("", self.names[queue], priority=rank) for rank in ranks]

        async def publish(side: Side) -> list[object]:
            return [await side.publish(publication) for publication in sent]

        self.both(publish)

    @rule(
        exchange=st.sampled_from(["topic", "fanout", "headers", "alternate"]),
        key=st.sampled_from(KEYS),
        headers=st.sampled_from(HEADERS),
        priority=priorities,
    )
    def publish_to_an_exchange(
        self, exchange: str, key: str, headers: dict[str, object], priority: int | None
    ) -> None:
        sent = self.publication(self.names[exchange], key, headers=headers, priority=priority)
        self.both(lambda side: side.publish(sent))

    @rule(priority=priorities)
    def let_one_expire(self, priority: int | None) -> None:
        sent = self.publication("", self.names["expiring"], priority=priority)

        async def publish(side: Side) -> object:
            verdict = await side.publish(sent)
            if side is self.memory:
                self.broker.advance(0.05)
            return verdict

        self.both(publish)

    @rule(queue=queues, times=st.integers(1, 5))
    def get(self, queue: str, times: int) -> None:
        async def get(side: Side) -> list[object]:
            return [await side.get(self.names[queue]) for _ in range(times)]

        self.both(get)

    @precondition(lambda self: self.memory.held)
    @rule(orders=st.lists(st.tuples(hows, places), min_size=1, max_size=5))
    def settle(self, orders: list[tuple[str, int]]) -> None:
        async def settle(side: Side) -> None:
            for how, place in orders:
                if side.held:
                    await side.settle(how, place % len(side.held))

        self.both(settle)

    @rule(queue=queues, prefetch=st.integers(1, 4))
    def consume(self, queue: str, prefetch: int) -> None:
        name = self.names[queue]
        if name not in self.memory.inboxes:
            self.both(lambda side: side.consume(name, prefetch))

    @precondition(lambda self: self.memory.inboxes)
    @rule(place=places)
    def cancel(self, place: int) -> None:
        consumed = sorted(self.memory.inboxes)
        self.both(lambda side: side.cancel(consumed[place % len(consumed)]))

    @precondition(lambda self: any(map(len, self.memory.inboxes.values())))
    @rule(how=hows, place=places)
    def settle_what_a_consumer_got(self, how: str, place: int) -> None:
        name, index = next(
            (name, place % len(inbox)) for name, inbox in self.memory.inboxes.items() if len(inbox)
        )

        async def settle(side: Side) -> None:
            side.held.append(side.inboxes[name].deliveries.pop(index))
            await side.settle(how, -1)

        self.both(settle)

    @rule()
    def close_the_channel(self) -> None:
        self.both(lambda side: side.close_channel())

    @rule(queue=queues)
    def purge(self, queue: str) -> None:
        self.both(lambda side: side.link.purge(self.names[queue]))

    def teardown(self) -> None:
        used = [self.names[name] for name in (*QUEUES, "expiring")]
        for side in (self.memory, self.real):
            type(self).run(side.close(used))


@pytest.mark.slow
@pytest.mark.timeout(120 + 4 * SEQUENCES)
def test_memory_does_what_rabbitmq_does(
    vhost_url: str, broker_version: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    if broker_version < (4, 3):
        pytest.skip("memory behaves as 4.3 does; tests/contract/facts.py has the differences")
    chosen = int(os.environ.get("RMQWORK_SEED") or random.randrange(1 << 32))
    with capsys.disabled():
        print(f"\nrandom operations: {SEQUENCES} sequences, RMQWORK_SEED={chosen}")
    loop = asyncio.new_event_loop()
    machine = type("Seeded", (Operations,), {"url": vhost_url, "run": loop.run_until_complete})
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            seed(chosen)(machine),
            settings=settings(
                max_examples=SEQUENCES,
                stateful_step_count=STEPS,
                deadline=None,
                phases=[Phase.generate],  # to shrink would take as long as the broker's patience
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.close()
