"""The consumer of a suspects queue."""

from __future__ import annotations

from rmqwork._worker.consume.suspects import SuspectsConsumer
from tests.unit.worker.consume.strategies import StrategyHarness


def consumer(harness: StrategyHarness) -> SuspectsConsumer:
    return SuspectsConsumer("q.suspects", harness.stopped, harness.wake)


async def test_suspects_come_one_at_a_time_at_first() -> None:
    harness = StrategyHarness()
    suspects = consumer(harness)

    await suspects.adjust(harness.channel)
    await suspects.adjust(harness.channel)

    assert suspects.active
    assert harness.consumers() == [("q.suspects", 1)]
    assert harness.stops == 0


async def test_an_old_consumer_ends_before_a_new_one_begins() -> None:
    """Both together would hold more than either may."""
    harness = StrategyHarness()
    suspects = consumer(harness)
    await suspects.adjust(harness.channel)
    most = 0
    consume = harness.broker.consume

    async def consumed(*given: object, **more: object) -> str:
        nonlocal most
        tag = await consume(*given, **more)  # type: ignore[arg-type]
        most = max(most, len(harness.broker.consumers))
        return tag

    harness.broker.consume = consumed  # type: ignore[method-assign]
    suspects.set_prefetch(16)
    await suspects.adjust(harness.channel)

    assert harness.wakes == 1
    assert most == 1
    assert harness.consumers() == [("q.suspects", 16)]


async def test_none_are_consumed_while_none_are_wanted() -> None:
    harness = StrategyHarness()
    suspects = consumer(harness)
    await suspects.adjust(harness.channel)

    suspects.set_prefetch(0)
    await suspects.adjust(harness.channel)

    assert not suspects.active
    assert harness.consumers() == []
    assert harness.stops == 1
    suspects.set_prefetch(1)
    await suspects.adjust(harness.channel)
    assert harness.consumers() == [("q.suspects", 1)]
    assert harness.stops == 1


async def test_a_pause_keeps_the_prefetch_and_a_lost_channel_does_not() -> None:
    harness = StrategyHarness()
    suspects = consumer(harness)
    suspects.set_prefetch(16)
    await suspects.adjust(harness.channel)

    await suspects.end(harness.channel)
    assert suspects.prefetch == 16
    await suspects.end(harness.channel)  # there is none

    suspects.forget()
    assert suspects.prefetch == 1
    assert len(harness.broker.cancelled) == 1
