"""Links to a broker in memory, and what the tests of its parts do with them."""

from __future__ import annotations

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork._transport.memory.link import MemoryLink
from rmqwork.types import Delivery, Publication, Verdict

QUORUM: dict[str, object] = {"x-queue-type": "quorum"}


SURE: dict[str, object] = {
    **QUORUM,
    "x-dead-letter-exchange": "",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


async def link_to(broker: MemoryBroker, *queues: DeclareQueue) -> MemoryLink:
    link = await MemoryConnector(broker).open("unit")
    await link.declare(queues)
    return link


def message(queue: str, body: bytes = b"{}", **rest: object) -> Publication:
    return Publication("", queue, body, f"id-{body.decode()}", **rest)  # type: ignore[arg-type]


async def publish(link: MemoryLink, *publications: Publication) -> list[Verdict]:
    channel = await link.open_publishing()
    verdicts: list[Verdict] = []
    for publication in publications:
        channel.publish(publication, lambda verdict, _: verdicts.append(verdict))
    await link.turn()
    return verdicts


async def take(link: MemoryLink, queue: str) -> list[Delivery]:
    channel = await link.open_consuming(print)
    taken = []
    while (delivery := await channel.get(queue)) is not None:
        taken.append(delivery)
    return taken
