"""Dead letters are deleted."""

from __future__ import annotations

import pytest

from rmqwork._admin.deadletters.api import DeadLetters
from rmqwork._admin.deadletters.selection import Selection
from rmqwork._topology.topology import Queue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from tests.unit.admin.deadletters.dead_letters import fill, published

COUNT = 12


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker("replaying")


@pytest.fixture
def connector(broker: MemoryBroker) -> MemoryConnector:
    return MemoryConnector(broker)


@pytest.fixture
async def letters(connector: MemoryConnector) -> DeadLetters:
    kinds = ("ValueError", "KeyError", "OSError")
    await fill(
        connector,
        [published(n, rmqwork_error_type=kinds[n % 3]) for n in range(COUNT)],
        Queue("q"),
        Queue("p"),
    )
    return DeadLetters(connector, ["q"])


async def ids(letters: DeadLetters) -> list[str]:
    return [letter.id or "" for letter in await letters.aread()]


async def test_purge(letters: DeadLetters) -> None:
    assert await letters.apurge(Selection(errors=["KeyError"])) == 4
    assert await ids(letters) == [f"id{n}" for n in range(COUNT) if n % 3 != 1]
    assert await letters.apurge(Selection()) == 8
    assert await letters.apurge(Selection()) == 0
