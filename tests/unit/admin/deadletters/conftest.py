"""Twelve dead letters of three kinds on a broker in memory."""

from __future__ import annotations

import pytest

from rmqwork._admin.deadletters.api import DeadLetters
from rmqwork._topology.topology import Queue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from tests.unit.admin.deadletters.dead_letters import COUNT, fill, published


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
