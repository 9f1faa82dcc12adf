"""Each case runs on each transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rmqwork._transport.port import Connector, Link, PublishChannel
from rmqwork.testing.broker import vhost
from tests.contract.facts import Facts
from tests.contract.transports import Memory, RabbitMQ, Transport


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """An empty broker behind the port."""
    if request.param == "memory":
        yield Memory()
        return
    broker = request.getfixturevalue("broker")
    with vhost(broker) as url:
        yield RabbitMQ(broker, url, request.getfixturevalue("broker_version"))


@pytest.fixture
def facts(transport: Transport) -> Facts:
    """Where this transport differs from others."""
    return transport.facts


@pytest.fixture
def connector(transport: Transport) -> Connector:
    """Where links to the empty broker come from."""
    return transport.connector()


@pytest.fixture
async def link(connector: Connector) -> AsyncIterator[Link]:
    """An open connection."""
    link = await connector.open("contract")
    yield link
    await link.close()


@pytest.fixture
async def publisher(link: Link) -> PublishChannel:
    """A channel in confirm mode."""
    return await link.open_publishing()
