"""The consumers of a queue without partitions."""

from __future__ import annotations

import pytest

from rmqwork._transport.port import ChannelClosed
from rmqwork._worker.consume.plain import PlainConsumers
from tests.unit.worker.consume.strategies import StrategyHarness


async def test_each_source_has_a_consumer() -> None:
    harness = StrategyHarness()
    plain = PlainConsumers(("q", "q.due"), 5, harness.wake)
    assert not plain.active

    await plain.adjust(harness.channel)
    await plain.adjust(harness.channel)  # nothing new is wanted

    assert plain.active
    assert harness.consumers() == [("q", 5), ("q.due", 5)]


async def test_new_consumers_take_over_before_the_old_ones_end() -> None:
    harness = StrategyHarness()
    plain = PlainConsumers(("q",), 5, harness.wake)
    await plain.adjust(harness.channel)
    [old] = harness.broker.consumers
    seen: list[int] = []
    cancel = harness.broker.cancel

    async def cancelled(tag: str) -> None:
        seen.append(len(harness.broker.consumers))
        await cancel(tag)

    harness.broker.cancel = cancelled  # type: ignore[method-assign]
    plain.set_prefetch(5)
    assert harness.wakes == 0
    plain.set_prefetch(20)
    await plain.adjust(harness.channel)

    assert harness.wakes == 1
    assert plain.prefetch == 20
    assert harness.broker.cancelled == [old]
    assert seen == [2]
    assert harness.consumers() == [("q", 20)]


async def test_after_the_end_they_begin_again() -> None:
    harness = StrategyHarness()
    plain = PlainConsumers(("q", "q.due"), 5, harness.wake)
    await plain.adjust(harness.channel)

    await plain.end(harness.channel)
    assert not plain.active
    assert harness.consumers() == []

    await plain.adjust(harness.channel)
    assert harness.consumers() == [("q", 5), ("q.due", 5)]


async def test_a_channel_that_fails_meanwhile_leaves_nothing_that_another_one_lacks() -> None:
    harness = StrategyHarness()
    plain = PlainConsumers(("q", "q.due"), 5, harness.wake)
    harness.broker.refusal = ChannelClosed(404, "no queue 'q'")
    with pytest.raises(ChannelClosed):
        await plain.adjust(harness.channel)
    plain.forget()

    another = StrategyHarness()
    await plain.adjust(another.channel)

    assert another.consumers() == [("q", 5), ("q.due", 5)]
