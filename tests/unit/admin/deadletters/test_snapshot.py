"""What reading dead letters holds in memory."""

from __future__ import annotations

import gc

from rmqwork._admin.deadletters.groups import Groups
from rmqwork._admin.deadletters.snapshot import QueueSnapshot
from rmqwork._topology.topology import Queue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork.deadletters import aread
from rmqwork.types import Delivery
from tests.unit.admin.deadletters.dead_letters import fill, published


def deliveries() -> set[int]:
    """The addresses of all deliveries in memory."""
    gc.collect()
    return {id(one) for one in gc.get_objects() if type(one) is Delivery}


async def test_a_window_keeps_no_deliveries() -> None:
    """Given 200 letters, when all are taken, no delivery is in memory; all come back in order."""
    connector = MemoryConnector(MemoryBroker())
    await fill(connector, [published(n) for n in range(200)], Queue("q"))
    link = await connector.open("test")
    seen: list[str | None] = []
    others = deliveries()  # what other tests have left
    for _ in range(2):
        window = QueueSnapshot(link, "q.dlq", lambda delivery: seen.append(delivery.message_id))
        await window.take(200)
        assert not deliveries() - others
        await window.close()
    assert seen == [f"id{n}" for n in range(200)] * 2
    await link.close()


async def test_some_are_settled_and_some_are_kept() -> None:
    connector = MemoryConnector(MemoryBroker())
    await fill(connector, [published(n) for n in range(20)], Queue("q"))
    link = await connector.open("test")
    held: list[Delivery] = []
    window = QueueSnapshot(link, "q.dlq", held.append)
    await window.take(20)

    await window.release(held[5:10])
    await window.settle(held[6:8])
    depth = await link.depth("q.dlq")
    assert depth is not None
    assert depth.messages == 15
    await window.close()

    left: list[str | None] = []
    window = QueueSnapshot(link, "q.dlq", lambda delivery: left.append(delivery.message_id))
    await window.take(18)
    await window.close()
    assert sorted(left, key=str) == sorted(f"id{n}" for n in range(20) if n not in (6, 7))
    await link.close()


async def test_copies_are_known_among_thousands() -> None:
    connector = MemoryConnector(MemoryBroker())
    await fill(connector, [published(n) for n in range(3000)], Queue("q"))
    letters = await aread(connector, ["q"])
    groups = Groups()
    assert [groups.add(letter) for letter in letters] == [True] * 3000
    assert [groups.add(letter) for letter in letters] == [False] * 3000
