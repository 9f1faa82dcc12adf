"""What becomes of a dead letter's publication: taken, refused with a reason, or unknown."""

from __future__ import annotations

import asyncio
import re

import pytest

from rmqwork._admin.deadletters.confirmed_publish import Confirming, Refusal
from rmqwork.errors import BrokerBlocked, BrokerUnavailable, InvalidMessage, PublishTimeout
from rmqwork.types import Verdict
from tests.unit.fakes import FakeConnector, FakeLink, publication
from tests.waiting import auntil


@pytest.fixture
async def connector() -> FakeConnector:
    return FakeConnector(answer=None)


@pytest.fixture
async def link(connector: FakeConnector) -> FakeLink:
    return await connector.open("test")


def confirming(link: FakeLink, **given: float) -> Confirming:
    return Confirming(link, pause=lambda attempt: 0.0, **given)  # type: ignore[arg-type]


async def answered(link: FakeLink, *verdicts: Verdict, text: str = "") -> list[Refusal | None]:
    """Publish one message, and answer each try of it."""
    asked = asyncio.ensure_future(confirming(link).publish([publication(routing_key="q")]))
    for number, verdict in enumerate(verdicts, 1):
        await auntil(lambda n=number: bool(link.channels) and len(link.channels[-1].sent) == n)  # type: ignore[misc]
        link.channels[-1].settle(verdict, text)
    return await asyncio.wait_for(asked, 10)


async def test_what_is_confirmed_has_no_refusal(link: FakeLink):
    assert await answered(link, Verdict.CONFIRMED) == [None]


async def test_a_full_queue_is_tried_again(link: FakeLink):
    assert await answered(link, Verdict.NACKED, Verdict.NACKED, Verdict.CONFIRMED) == [None]


async def test_what_is_lost_with_its_channel_is_sent_again_on_another_one(link: FakeLink):
    asked = asyncio.ensure_future(confirming(link).publish([publication()]))
    await auntil(lambda: bool(link.channels) and len(link.channels[0].sent) == 1)

    link.channels[0].end()
    await auntil(lambda: len(link.channels) == 2 and len(link.channels[1].sent) == 1)
    link.channels[1].settle(Verdict.CONFIRMED)

    assert await asked == [None]


@pytest.mark.parametrize(
    ("verdict", "why", "route"),
    [
        (Verdict.RETURNED, "no queue takes exchange 'rmqwork.tasks', routing key 'q'", True),
        (Verdict.REFUSED, "the broker refuses .*: too large", False),
    ],
)
async def test_a_refusal_says_why_and_whether_it_is_the_routes(
    link: FakeLink, verdict: Verdict, why: str, route: bool
):
    [refusal] = await answered(link, verdict, text="too large")

    assert refusal is not None
    assert refusal.route is route
    assert re.match(why, refusal.why)


async def test_a_queue_that_stays_full_is_a_refusal(connector: FakeConnector, link: FakeLink):
    connector.answer = Verdict.NACKED

    [refusal] = await confirming(link, full_timeout=-1.0).publish([publication(exchange="")])

    assert refusal == Refusal("the queue is full: queue 'q'")


async def test_what_cannot_be_encoded_is_a_refusal(connector: FakeConnector, link: FakeLink):
    connector.refuse = lambda _: InvalidMessage("a header is too long")

    assert await confirming(link).publish([publication()]) == [
        Refusal("a header is too long", route=False)
    ]


async def test_without_the_connection_nobody_knows(link: FakeLink):
    asked = asyncio.ensure_future(confirming(link).publish([publication()]))
    await auntil(lambda: bool(link.channels) and len(link.channels[0].sent) == 1)

    link.lose()

    with pytest.raises(BrokerUnavailable, match="run it again"):
        await asked


@pytest.mark.parametrize("blocked", [False, True])
async def test_what_is_not_answered_in_time_says_whether_the_broker_blocks(
    link: FakeLink, blocked: bool
):
    link.blocked = blocked

    with pytest.raises(BrokerBlocked if blocked else PublishTimeout, match=r"within 0\.01 s"):
        await confirming(link, confirm_timeout=0.01).publish([publication()])
