"""One broker of two that are given the same operations, and what can be seen of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from rmqwork._topology.topology import Bind, Declaration, DeclareExchange, DeclareQueue
from rmqwork._transport.port import Connector, ConsumeChannel, Link, PublishChannel
from rmqwork.types import Delivery, Publication, Verdict
from tests.contract.verbs import Inbox, verdicts

TIMEOUT = 20.0
"""Seconds in which a real broker has to show what the one in memory shows at once."""

Seen = tuple[object, ...]


def seen(delivery: Delivery) -> Seen:
    """What a consumer sees of a message, apart from tags and times."""
    headers = delivery.headers
    deaths = headers.get("x-death", [])
    assert isinstance(deaths, list)
    return (
        delivery.body,
        delivery.queue,
        delivery.exchange,
        delivery.routing_key,
        delivery.priority,
        ("redelivered", delivery.redelivered),
        *((key, value) for key, value in sorted(headers.items()) if key != "x-death"),
        *(tuple(sorted((k, repr(v)) for k, v in death.items() if k != "time")) for death in deaths),
    )


class Side:
    """A broker, with one connection, one channel, at most one consumer a queue.

    Args:
        connector: of the broker.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self.link: Link
        self.publisher: PublishChannel
        self.channel: ConsumeChannel
        self.held: list[Delivery] = []
        self.inboxes: dict[str, Inbox] = {}
        self._tags: dict[str, str] = {}

    async def open(self, plan: Sequence[Declaration]) -> None:
        """Connect and declare."""
        self.link = await self._connector.open("random operations")
        await self.link.declare(plan)
        self.publisher = await self.link.open_publishing()
        self.channel = await self.link.open_consuming(print)

    async def close(self, queues: Sequence[str]) -> None:
        """Delete the queues and disconnect."""
        for queue in queues:
            await self.link.delete_queue(queue)
        await self.link.close()

    async def publish(self, publication: Publication) -> Verdict:
        """Publish one message."""
        return (await verdicts(self.publisher, publication))[0]

    async def get(self, queue: str) -> Seen | None:
        """Take one message, and hold it."""
        delivery = await self.channel.get(queue)
        if delivery is None:
            return None
        self.held.append(delivery)
        return seen(delivery)

    async def settle(self, how: str, index: int) -> None:
        """Ack, nack or reject what is held."""
        getattr(self.channel, how)(self.held.pop(index))
        await self.channel.synced()

    async def consume(self, queue: str, prefetch: int) -> None:
        """Start the consumer of a queue."""
        inbox = self.inboxes[queue] = Inbox()
        self._tags[queue] = await inbox.consume(self.channel, queue, prefetch)

    async def cancel(self, queue: str) -> None:
        """End it; what it got is held."""
        await self.channel.cancel(self._tags.pop(queue))
        self.held += self.inboxes.pop(queue).deliveries

    async def close_channel(self) -> None:
        """Close the channel with all that it holds, and open another."""
        await self.channel.close()
        self.held.clear()
        self.inboxes.clear()
        self._tags.clear()
        self.channel = await self.link.open_consuming(print)

    async def depths(self, queues: Sequence[str]) -> Mapping[str, int]:
        """How many messages are ready, by queue."""
        found = {}
        for queue in queues:
            depth = await self.link.depth(queue)
            found[queue] = -1 if depth is None else depth.messages
        return found

    def deliveries(self) -> Mapping[str, list[Seen]]:
        """What the consumers got, by queue."""
        return {queue: [seen(d) for d in inbox.deliveries] for queue, inbox in self.inboxes.items()}


async def agree(memory: Side, real: Side, queues: Sequence[str]) -> None:
    """Wait until the real broker shows what the one in memory shows; it must come to that."""
    wanted, got = await memory.depths(queues), memory.deliveries()
    end = time.monotonic() + TIMEOUT
    while True:
        depths, deliveries = await real.depths(queues), real.deliveries()
        if depths == wanted and deliveries == got:
            return
        if time.monotonic() > end:
            assert depths == wanted, f"RabbitMQ holds {depths}, memory {wanted}"
            assert deliveries == got, f"RabbitMQ delivered {deliveries}, memory {got}"
        await asyncio.sleep(0.002)


def world(prefix: str) -> tuple[list[Declaration], dict[str, str]]:
    """Queues of each kind and exchanges of each type, and their names in this example."""
    short = ("quorum", "limited", "expiring", "classic", "ranked", "full", "dead")
    n = {name: f"{prefix}.{name}" for name in (*short, "topic", "fanout", "headers", "alternate")}
    dlx = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": n["dead"]}
    quorum = {"x-queue-type": "quorum", **dlx}
    sure = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    classic = {"x-queue-type": "classic", **dlx}
    full = {"x-max-length": 2, "x-overflow": "reject-publish"}
    plan: list[Declaration] = [
        DeclareQueue(n["dead"], {"x-queue-type": "quorum", "x-delivery-limit": 1000}),
        DeclareQueue(n["quorum"], {**quorum, "x-delivery-limit": 1000}),
        DeclareQueue(n["limited"], {**quorum, **sure, "x-delivery-limit": 1}),
        DeclareQueue(n["expiring"], {**quorum, **sure, "x-message-ttl": 40}),
        DeclareQueue(n["classic"], classic),
        DeclareQueue(n["ranked"], {**classic, "x-max-priority": 3}),
        DeclareQueue(n["full"], {**classic, **full}),
        DeclareExchange(n["alternate"], "fanout"),
        DeclareExchange(n["topic"], "topic", {"alternate-exchange": n["alternate"]}),
        DeclareExchange(n["fanout"], "fanout"),
        DeclareExchange(n["headers"], "headers"),
        Bind(n["alternate"], n["classic"]),
        Bind(n["topic"], n["quorum"], "a.*"),
        Bind(n["topic"], n["ranked"], "#.b"),
        Bind(n["topic"], n["fanout"], "go.#", {}, True),
        Bind(n["fanout"], n["limited"]),
        Bind(n["fanout"], n["full"]),
        Bind(n["headers"], n["quorum"], "", {"x-match": "all", "k": 1, "s": "x"}),
        Bind(n["headers"], n["classic"], "", {"x-match": "any", "k": 1, "s": "x"}),
        Bind(n["headers"], n["topic"], "", {"x-match": "all", "t": True}, True),
    ]
    return plan, n
