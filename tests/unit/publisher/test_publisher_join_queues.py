"""The queues of joins are declared when a message for one of them comes back."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._topology import join_queues
from rmqwork.errors import PublishError, Unroutable
from rmqwork.types import Publication, Verdict
from tests.unit.fakes import FakeConnector, publication
from tests.waiting import auntil


def part(join: str) -> Publication:
    return Publication("", join_queues.queue_of(join), b"1", join, join_queues.TYPE)


def submit(publisher: Publisher, *publications: Publication) -> Future[list[PublishError | None]]:
    batch = Batch(publications, 5.0)
    publisher.submit(batch)
    return batch.future


async def result(future: Future[list[PublishError | None]]) -> list[PublishError | None]:
    return await asyncio.wait_for(asyncio.wrap_future(future), 5)


async def test_they_are_declared_once_and_the_messages_sent_again_in_order():
    connector = FakeConnector(answer=None)
    publisher = Publisher(connector, (), "test")
    sent = [part("a"), part("b"), part("c")]
    future = submit(publisher, *sent)
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 3)

    for _ in sent:
        connector.channel.settle(Verdict.RETURNED)
    await auntil(lambda: len(connector.channel.open) == 3)
    for _ in sent:
        connector.channel.settle(Verdict.CONFIRMED)

    assert await result(future) == [None] * 3
    assert connector.channel.sent == [*sent, *sent]
    assert connector.link.declared.count(join_queues.plan()) == 1
    await publisher.close(0)


async def test_what_comes_back_twice_or_is_for_another_queue_is_an_error():
    connector = FakeConnector(answer=Verdict.RETURNED)
    publisher = Publisher(connector, (), "test")

    for one in (part("a"), publication()):
        (error,) = await result(submit(publisher, one))
        assert isinstance(error, Unroutable)

    assert connector.link.declared.count(join_queues.plan()) == 1
    await publisher.close(0)
