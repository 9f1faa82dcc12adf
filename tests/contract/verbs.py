"""What the cases do again and again, in their own words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from rmqwork._topology.topology import (
    Bind,
    DeclareExchange,
    DeclareQueue,
    Queue,
    app_declarations,
    dead_letter_queue,
)
from rmqwork._transport.port import ConsumeChannel, Link, PublishChannel
from rmqwork.types import Delivery, Publication, Verdict
from tests.waiting import auntil

DEADLINE = 30.0
"""Seconds after which a test has waited in vain."""
QUORUM: dict[str, object] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
CLASSIC: dict[str, object] = {"x-queue-type": "classic"}
_numbers = count(1)


async def until_it_holds(link: Link, queue: str, messages: int, timeout: float = DEADLINE) -> None:
    """Wait until a queue has this many ready messages."""
    seen: list[object] = []

    async def holds() -> bool:
        depth = await link.depth(queue)
        seen[:] = [depth]
        return depth is not None and depth.messages == messages

    try:
        await auntil(holds, timeout=timeout)
    except AssertionError:
        raise AssertionError(f"{queue} was to hold {messages} messages: {seen[0]}") from None


def message(
    routing_key: str = "q", exchange: str = "", body: bytes = b"{}", **rest: Any
) -> Publication:
    """A publication with an id of its own."""
    return Publication(exchange, routing_key, body, f"id-{next(_numbers)}", **rest)


def copies(number: int, publication: Publication) -> list[Publication]:
    """This many publications like one, numbered in their bodies, each with an id of its own."""
    return [
        replace(publication, body=b"%d" % n, message_id=f"{publication.message_id}-{n}")
        for n in range(number)
    ]


async def publish(
    channel: PublishChannel, publications: Sequence[Publication]
) -> list[tuple[Verdict, str]]:
    """Publish all at once; returns what became of each, in their order."""
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[tuple[Verdict, str]]] = []
    for publication in publications:
        answer: asyncio.Future[tuple[Verdict, str]] = loop.create_future()
        answers.append(answer)
        # set_result a second time raises: so this also checks that each is settled once
        channel.publish(publication, lambda v, t, a=answer: a.set_result((v, t)))  # type: ignore[misc]
    return list(await asyncio.wait_for(asyncio.gather(*answers), DEADLINE))


async def verdicts(channel: PublishChannel, *publications: Publication) -> list[Verdict]:
    """Publish, and keep only the verdicts."""
    return [verdict for verdict, _ in await publish(channel, publications)]


async def fill(link: Link, queue: str, number: int, **rest: Any) -> None:
    """Put messages with the bodies ``0``, ``1``, … into a queue, confirmed."""
    channel = await link.open_publishing()
    answers = await verdicts(channel, *copies(number, message(queue, **rest)))
    assert answers == [Verdict.CONFIRMED] * number


async def make_queue(link: Link, name: str = "q", **arguments: object) -> str:
    """Declare a bare quorum queue; underscores in the names of arguments become dashes."""
    given = {key.replace("_", "-"): value for key, value in arguments.items()}
    await link.declare([DeclareQueue(name, {**QUORUM, **given})])
    return name


async def make_app(link: Link, *queues: Queue) -> None:
    """Declare queues with all that belongs to them: dead-letter queues, ways back."""
    await link.declare(app_declarations(queues))


def bound(exchange: str, kind: str, *bindings: Bind) -> list[Any]:
    """A plan: an exchange, the queues that the bindings lead to, and the bindings."""
    queues = dict.fromkeys(bind.destination for bind in bindings if not bind.to_exchange)
    return [
        DeclareExchange(exchange, kind),  # type: ignore[arg-type]
        *(DeclareQueue(queue, QUORUM) for queue in queues),
        *bindings,
    ]


class Inbox:
    """A consumer that keeps what it gets."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.cancelled: list[str] = []
        self.closed: list[str] = []

    def __len__(self) -> int:
        return len(self.deliveries)

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.body for delivery in self.deliveries]

    async def reach(self, number: int, timeout: float = DEADLINE) -> list[Delivery]:
        """Wait for this many deliveries in all."""
        try:
            await auntil(lambda: len(self.deliveries) >= number, timeout=timeout)
        except AssertionError:
            raise AssertionError(f"{len(self)} of {number} deliveries came") from None
        return self.deliveries

    async def consume(
        self, channel: ConsumeChannel, queue: str = "q", prefetch: int = 100, **arguments: object
    ) -> str:
        """Start a consumer that delivers here."""
        return await channel.consume(
            queue,
            prefetch=prefetch,
            deliver=self.deliveries.append,
            cancelled=self.cancelled.append,
            arguments=arguments,
        )


async def consuming(
    link: Link, queue: str = "q", prefetch: int = 100
) -> tuple[ConsumeChannel, Inbox]:
    """A new channel with one consumer."""
    inbox = Inbox()
    channel = await link.open_consuming(inbox.closed.append)
    await inbox.consume(channel, queue, prefetch)
    return channel, inbox


async def fetch(channel: ConsumeChannel, queue: str = "q") -> Delivery:
    """Get one message that is there, or is about to be."""
    got: list[Delivery] = []

    async def came() -> bool:
        delivery = await channel.get(queue)
        if delivery is not None:
            got.append(delivery)
        return delivery is not None

    await auntil(came, f"a message in {queue}")
    return got[0]


async def drain(link: Link, queue: str, number: int) -> list[Delivery]:
    """Take this many messages out of a queue, for good; there must be no more."""
    channel = await link.open_consuming(lambda _: None)
    deliveries = [await fetch(channel, queue) for _ in range(number)]
    for delivery in deliveries:
        channel.ack(delivery)
    await channel.synced()
    assert await channel.get(queue) is None, f"{queue} holds more than {number}"
    await channel.close()
    return deliveries


def blame(delivery: Delivery) -> int:
    """The delivery count: how often the broker holds it to have failed before."""
    counted = delivery.headers.get("x-delivery-count", 0)
    assert isinstance(counted, int)
    return counted


async def dead_letters(link: Link, queue: str, number: int) -> list[Delivery]:
    """Take the dead letters of a queue."""
    await until_it_holds(link, dead_letter_queue(queue), number)
    return await drain(link, dead_letter_queue(queue), number)
