"""What expires or is dropped goes to another queue, as in RabbitMQ."""

from __future__ import annotations

from rmqwork._topology.topology import Bind, DeclareExchange, DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from tests.unit.transport.memory.links import QUORUM, SURE, link_to, message, publish, take


async def test_32_letters_that_nobody_takes_hold_up_the_others(broker: MemoryBroker):
    """As in RabbitMQ; so returns from the delay queues must always succeed."""
    expiring = DeclareQueue("t", {**SURE, "x-message-ttl": 10, "x-dead-letter-exchange": "x"})
    bind = Bind("x", "q", "q")
    link = await link_to(broker, DeclareQueue("q", QUORUM), expiring)
    await link.declare([DeclareExchange("x", "fanout"), DeclareExchange("y", "direct"), bind])
    for binding in list(broker.exchanges["x"].bindings):
        del broker.exchanges["x"].bindings[binding]
    await publish(link, *(message("t", b"%d" % n) for n in range(32)))
    broker.advance(1)
    await link.declare([bind])
    await publish(link, message("t", b"healthy"))
    broker.advance(1)
    assert await take(link, "q") == []

    broker.advance(180)

    assert len(await take(link, "q")) == 33


async def test_a_circle_without_a_reject_ends(broker: MemoryBroker):
    def ring(name: str, target: str) -> DeclareQueue:
        arguments = {**QUORUM, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": target}
        return DeclareQueue(name, {**arguments, "x-message-ttl": 10})

    link = await link_to(broker, ring("a", "b"), ring("b", "a"))
    await publish(link, message("a"))

    broker.advance(1)

    assert [len(queue) for queue in broker.queues.values()] == [0, 0]


async def test_without_a_dead_letter_exchange_what_expires_is_gone(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", {**QUORUM, "x-message-ttl": 10}))
    await publish(link, message("q"))

    broker.advance(1)

    assert (await link.depth("q")).messages == 0  # type: ignore[union-attr]
