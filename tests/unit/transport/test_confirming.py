"""One publication, and what the broker says of it."""

from __future__ import annotations

import asyncio

import pytest

from rmqwork._transport.confirming import verdict_of
from rmqwork.errors import InvalidMessage
from rmqwork.types import Verdict
from tests.unit.fakes import FakeChannel, publication, turns


async def test_the_verdict_comes_with_the_brokers_words():
    channel = FakeChannel()
    asked = asyncio.ensure_future(verdict_of(channel, publication()))
    await turns()

    channel.settle(Verdict.RETURNED, "NO_ROUTE")

    assert await asked == (Verdict.RETURNED, "NO_ROUTE")


async def test_what_is_not_answered_in_time_is_not_awaited_any_longer():
    channel = FakeChannel()

    with pytest.raises(TimeoutError):
        await verdict_of(channel, publication(), 0.01)

    channel.settle(Verdict.CONFIRMED)  # too late, and no error


async def test_what_cannot_be_sent_is_raised():
    channel = FakeChannel()
    channel.refuse = lambda _: InvalidMessage("too large")

    with pytest.raises(InvalidMessage):
        await verdict_of(channel, publication())
