"""What is refused the second time may have arrived the first time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._topology.topology import Queue, app_declarations
from rmqwork.types import Verdict
from tests.unit.fakes import FakeConnector, QuickClock, publication
from tests.waiting import auntil


@pytest.fixture
async def connector() -> FakeConnector:
    connector = FakeConnector()
    connector.answer = None
    return connector


@pytest.fixture
async def publisher(connector: FakeConnector) -> AsyncIterator[Publisher]:
    publisher = Publisher(connector, app_declarations([Queue("q")]), "test", clock=QuickClock())
    yield publisher
    await publisher.close(0)


@pytest.mark.parametrize("verdict", [Verdict.NACKED, Verdict.RETURNED, Verdict.REFUSED])
@pytest.mark.parametrize("sent_before", [True, False])
async def test_a_refusal_is_sure_only_of_what_was_not_sent_before(
    publisher: Publisher, connector: FakeConnector, verdict: Verdict, sent_before: bool
) -> None:
    batch = Batch([publication()], 5)
    publisher.submit(batch)
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 1)
    if sent_before:
        connector.link.lose()
        await auntil(lambda: len(connector.links) == 2 and publisher.connected)
        await auntil(lambda: len(connector.channel.open) == 1)

    connector.channel.settle(verdict)

    (error,) = await asyncio.wait_for(asyncio.wrap_future(batch.future), 5)
    assert error is not None
    assert error.may_have_arrived is sent_before
