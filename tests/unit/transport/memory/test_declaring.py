"""What RabbitMQ would refuse to declare is refused."""

from __future__ import annotations

import pytest

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork.errors import ConfigurationError
from tests.unit.transport.memory.links import link_to


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-queue-type": "quorum", "x-max-priority": 5},
        {"x-queue-type": "classic", "x-delivery-limit": 5},
        {"x-queue-type": "bogus"},
        {"x-message-ttl": -1},
        {"x-overflow": "bogus"},
    ],
)
async def test_what_rabbitmq_would_not_declare_is_refused(
    broker: MemoryBroker, arguments: dict[str, object]
):
    with pytest.raises(ConfigurationError, match="refused to declare 'q'"):
        await link_to(broker, DeclareQueue("q", arguments))
