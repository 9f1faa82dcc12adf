"""A message in the broker is no longer the publisher's."""

from __future__ import annotations

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from tests.unit.transport.memory.links import QUORUM, link_to, message, publish, take


async def test_what_a_publisher_changes_later_is_not_what_arrives(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    headers = {"list": [1], "table": {"a": (1, 2)}}

    await publish(link, message("q", headers=headers))
    headers["list"].append(2)  # type: ignore[attr-defined]

    [delivery] = await take(link, "q")
    assert delivery.headers == {"list": [1], "table": {"a": [1, 2]}}
