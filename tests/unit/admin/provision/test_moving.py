"""A message is acked in its old queue when the new one has confirmed it, and not before."""

from __future__ import annotations

from typing import Any

import pytest

from rmqwork._admin.provision.moving import Interrupted, Mover
from rmqwork._transport.port import Settled
from rmqwork.types import Delivery, Publication, Verdict
from tests.waiting import auntil


class Channel:
    """Both channels of a move: what was published, and what was acked."""

    def __init__(self) -> None:
        self.is_open = True
        self.published: list[tuple[Publication, Settled]] = []
        self.acked: list[int] = []

    def publish(self, publication: Publication, settled: Settled) -> None:
        self.published.append((publication, settled))

    def ack(self, delivery: Delivery) -> None:
        self.acked.append(delivery.tag)

    def answer(self, verdict: Verdict) -> None:
        self.published.pop(0)[1](verdict, "")


def delivery(tag: int) -> Delivery:
    return Delivery(
        None, tag, "q", "x", "k", False, b"{}", {}, f"id{tag}", "t",
        None, None, None, None, None, None, None,
    )  # fmt: skip


@pytest.fixture
async def channel() -> Channel:
    return Channel()


@pytest.fixture
async def mover(channel: Any) -> Mover:
    made = Mover("q", "q.migrating", channel, channel, pause=0.0)
    made._deliver(delivery(1))
    await auntil(lambda: len(channel.published) == 1)
    return made


async def test_the_ack_comes_after_the_confirm(mover: Mover, channel: Channel) -> None:
    assert (channel.acked, mover.held) == ([], 1)
    channel.answer(Verdict.CONFIRMED)
    await auntil(lambda: (channel.acked, mover.held, mover.moved) == ([1], 0, 1))


@pytest.mark.parametrize("verdict", [Verdict.NACKED, Verdict.RETURNED])
async def test_what_is_not_taken_is_tried_again(
    mover: Mover, channel: Channel, verdict: Verdict
) -> None:
    channel.answer(verdict)
    await auntil(lambda: len(channel.published) == 1)
    assert (channel.acked, mover.held) == ([], 1)
    channel.answer(Verdict.CONFIRMED)
    await auntil(lambda: (channel.acked, mover.held) == ([1], 0))


@pytest.mark.parametrize("verdict", [Verdict.LOST, Verdict.REFUSED])
async def test_what_nobody_knows_of_stays_where_it_was(
    mover: Mover, channel: Channel, verdict: Verdict
) -> None:
    channel.answer(verdict)
    await auntil(lambda: mover.problem is not None)
    assert channel.acked == []
    with pytest.raises(Interrupted, match="run it again"):
        mover.check()


async def test_messages_are_published_in_the_order_in_which_they_came(
    mover: Mover, channel: Channel
) -> None:
    for tag in range(2, 50):
        mover._deliver(delivery(tag))
    await auntil(lambda: len(channel.published) == 49)

    assert [one.message_id for one, _ in channel.published] == [f"id{n}" for n in range(1, 50)]
