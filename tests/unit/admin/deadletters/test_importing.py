"""Dead letters that were exported are published again."""

from __future__ import annotations

import pytest

from rmqwork._admin.deadletters.importing import import_all
from rmqwork._admin.deadletters.reading import aread
from rmqwork._admin.deadletters.records import from_line, to_line
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._topology.topology import Queue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork.errors import RmqworkError
from tests.unit.admin.deadletters.dead_letters import fill, letter, published, taken


async def test_out_and_in_again_leaves_each_as_it_was() -> None:
    connector = MemoryConnector(MemoryBroker("records"))
    foreign = published(9, b"\xff\x00")
    await fill(connector, [*map(published, range(5)), foreign, published(1)], Queue("q"))
    before = await aread(connector, ["q"])
    lines = [to_line(one) for one in before]
    await taken(connector, "q.dlq")

    done = await import_all(connector, list(map(from_line, lines[:3])))
    assert (done.published, done.there) == (3, 0)
    again = await import_all(connector, list(map(from_line, lines)))
    assert (again.published, again.there) == (3, 4)  # one was a copy

    assert [same(one) for one in await aread(connector, ["q"])] == [same(o) for o in before[:-1]]


async def test_an_import_to_another_queue_or_to_none() -> None:
    connector = MemoryConnector(MemoryBroker("records2"))
    await fill(connector, [published(7)], Queue("q"), Queue("p"))
    await import_all(connector, [letter()], to="p")
    (found,) = await aread(connector, ["p"])
    assert found.dead_letter_queue == "p.dlq"
    with pytest.raises(RmqworkError, match=r"no queue takes queue 'nosuch\.dlq'"):
        await import_all(connector, [letter()], to="nosuch")


def same(one: DeadLetter) -> DeadLetter:
    return from_line(to_line(one))
