"""Publishing without the I/O thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rmqwork._publisher import inline
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.inline import publish_inline
from rmqwork.errors import BrokerUnavailable
from tests.unit.fakes import FakeConnector, publication


def published(connector: FakeConnector, **options: object) -> Batch:
    batch = Batch([publication()], 5)
    publish_inline(connector, [], "test", batch, **options)  # type: ignore[arg-type]
    assert batch.future.done()
    return batch


def test_it_is_confirmed_when_the_call_returns_and_the_connection_is_closed():
    connector, threads = FakeConnector(), threading.active_count()

    assert published(connector).future.result(0) == [None]

    assert len(connector.channel.sent) == 1
    assert not connector.link.is_open
    assert threading.active_count() == threads


async def test_the_event_loop_and_the_task_that_called_it_go_on():
    connector = FakeConnector()
    task = asyncio.current_task()

    assert published(connector).future.result(0) == [None]

    assert asyncio.current_task() is task
    await asyncio.sleep(0)
    assert asyncio.get_running_loop().is_running()


def test_what_calls_itself_is_refused_at_once():
    """An audit hook that publishes is called again by its own connection."""
    inner: list[Batch] = []

    class Audited(FakeConnector):
        async def open(self, name):
            if len(inner) < 10:
                batch = Batch([publication()], 5)
                inner.append(batch)
                publish_inline(self, [], "test", batch)
            return await super().open(name)

    assert published(Audited()).future.result(0) == [None]

    assert inner[0].future.result(0) == [None]
    with pytest.raises(BrokerUnavailable, match="called by a publish of the same thread"):
        inner[1].future.result(0)
    assert getattr(inline._depth, "value", 0) == 0


def test_it_takes_no_longer_than_it_may():
    connector = FakeConnector()
    connector.answer = None

    [error] = published(connector, longest=0.2).future.result(0)

    assert error is not None
    assert error.may_have_arrived


def test_who_is_interrupted_leaves_no_open_answer():
    class Interrupted(FakeConnector):
        async def open(self, name):
            raise KeyboardInterrupt

    batch = Batch([publication()], 5)
    with pytest.raises(KeyboardInterrupt):
        publish_inline(Interrupted(), [], "test", batch)

    with pytest.raises(BrokerUnavailable):
        batch.future.result(0)
