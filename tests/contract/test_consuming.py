"""Consume: prefetch, settlement and what it counts, order, cancelled consumers."""

from __future__ import annotations

import asyncio

import pytest

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.port import ChannelClosed, Connector, Link
from tests.contract.facts import Facts
from tests.contract.transports import Transport
from tests.contract.verbs import (
    CLASSIC,
    DEADLINE,
    Inbox,
    blame,
    consuming,
    copies,
    drain,
    fetch,
    fill,
    make_queue,
    message,
    until_it_holds,
    verdicts,
)
from tests.waiting import auntil


async def test_a_consumer_holds_at_most_its_prefetch(link: Link):
    """And gets as many more as it settles."""
    await make_queue(link)
    await fill(link, "q", 10)
    channel, inbox = await consuming(link, prefetch=3)

    await inbox.reach(3)
    await channel.synced()
    assert len(inbox) == 3
    await until_it_holds(link, "q", 7)

    channel.ack(inbox.deliveries[0])
    channel.ack(inbox.deliveries[1])
    await inbox.reach(5)
    await until_it_holds(link, "q", 5)
    assert inbox.bodies == [b"0", b"1", b"2", b"3", b"4"]


async def test_consumers_of_one_channel_have_a_prefetch_each(link: Link):
    await make_queue(link, "a")
    await make_queue(link, "b")
    await fill(link, "a", 5)
    await fill(link, "b", 5)
    inbox_a, inbox_b = Inbox(), Inbox()
    channel = await link.open_consuming(inbox_a.closed.append)

    await inbox_a.consume(channel, "a", 1)
    await inbox_b.consume(channel, "b", 4)

    await inbox_a.reach(1)
    await inbox_b.reach(4)
    await until_it_holds(link, "a", 4)
    await until_it_holds(link, "b", 1)
    assert {d.queue for d in inbox_a.deliveries} == {"a"}


async def test_acked_messages_are_gone_also_out_of_order(link: Link):
    await make_queue(link)
    await fill(link, "q", 20)
    channel, inbox = await consuming(link)
    held = await inbox.reach(20)

    for number in (3, 0, 1, 19, 2, 7):
        channel.ack(held[number])
    await channel.synced()
    for number in (5, 4):
        channel.ack(held[number])
    await channel.synced()
    await channel.close()

    await until_it_holds(link, "q", 12)
    left = sorted(int(d.body) for d in await drain(link, "q", 12))
    assert left == [6, *range(8, 19)]


async def test_all_kinds_of_settlement_may_be_mixed(link: Link):
    """Acks travel in rows; a nack among them is no part of any row."""
    await make_queue(link)
    await fill(link, "q", 30)
    channel, inbox = await consuming(link, prefetch=30)
    held = list(await inbox.reach(30))

    for number, delivery in enumerate(held):
        (channel.ack, channel.nack, channel.ack, channel.reject)[number % 4](delivery)
    await inbox.reach(45)
    again = inbox.deliveries[30:]
    assert sorted(int(d.body) for d in again) == [n for n in range(30) if n % 2]
    for delivery in again:
        channel.ack(delivery)
    await channel.synced()

    assert channel.is_open
    assert (await link.depth("q")).messages == 0  # type: ignore[union-attr]


async def test_what_is_synced_is_settled_for_good(connector: Connector, link: Link):
    """Given acks and a round trip, when the connection ends, then none of them comes again."""
    await make_queue(link)
    await fill(link, "q", 100)
    other = await connector.open("other")
    channel, inbox = await consuming(other, prefetch=100)
    for delivery in list(await inbox.reach(100))[:60]:
        channel.ack(delivery)

    await channel.synced()
    await other.close()

    await until_it_holds(link, "q", 40)


async def test_acks_given_before_a_close_arrive(connector: Connector, link: Link):
    await make_queue(link)
    await fill(link, "q", 10)
    other = await connector.open("other")
    channel, inbox = await consuming(other)
    for delivery in list(await inbox.reach(10)):
        channel.ack(delivery)

    await other.close()

    await auntil(lambda: not other.is_open)
    await until_it_holds(link, "q", 0)
    assert inbox.closed == []  # we asked for it


async def test_nacked_messages_come_again_in_the_order_of_the_nacks(link: Link):
    """Before those that were not delivered yet: the order of the queue holds."""
    await make_queue(link)
    await fill(link, "q", 8)
    channel, inbox = await consuming(link, prefetch=5)
    held = list(await inbox.reach(5))

    for delivery in held:
        channel.nack(delivery)

    await inbox.reach(10)
    assert inbox.bodies[5:10] == [b"0", b"1", b"2", b"3", b"4"]


async def test_after_a_hand_back_another_consumer_gets_the_old_order(link: Link):
    """The shutdown of a worker: cancel, nack in delivery order, and the next one goes on."""
    await make_queue(link)
    await fill(link, "q", 8)
    inbox = Inbox()
    channel = await link.open_consuming(inbox.closed.append)
    tag = await inbox.consume(channel, prefetch=5)
    await inbox.reach(5)

    await channel.cancel(tag)
    for delivery in inbox.deliveries:
        channel.nack(delivery)
    await channel.synced()

    assert [d.body for d in await drain(link, "q", 8)] == [b"%d" % n for n in range(8)]


@pytest.mark.parametrize(
    "settled", [[], [1, 2, 3], [2, 5], [9]], ids=["nothing", "first", "some", "last"]
)
async def test_many_are_handed_back_at_once(link: Link, settled: list[int]):
    """Whatever was settled before; and what comes after it is settled as ever."""
    await make_queue(link)
    await fill(link, "q", 10)
    inbox = Inbox()
    channel = await link.open_consuming(inbox.closed.append)
    tag = await inbox.consume(channel, prefetch=9)
    held = list(await inbox.reach(9))
    await channel.cancel(tag)
    for number in settled:
        channel.ack(held[number - 1])

    channel.nack_all([d.tag for n, d in enumerate(held, 1) if n not in settled])
    await channel.synced()

    left = [b"%d" % n for n in range(10) if n + 1 not in settled]
    await inbox.consume(channel, prefetch=20)
    again = list(await inbox.reach(9 + len(left)))[9:]
    assert [d.body for d in again] == left
    for delivery in again[::2] + again[1::2]:
        channel.ack(delivery)
    await channel.synced()
    await until_it_holds(link, "q", 0)
    assert inbox.closed == []


async def test_nack_blames_nobody_where_the_broker_can_tell(link: Link, facts: Facts):
    await make_queue(link)
    await fill(link, "q", 1)
    channel = await link.open_consuming(lambda _: None)
    counts = []

    for _ in range(4):
        delivery = await fetch(channel)
        counts.append(blame(delivery))
        channel.nack(delivery)

    assert counts == ([0, 1, 2, 3] if facts.nack_counts else [0, 0, 0, 0])


async def test_reject_blames(link: Link):
    await make_queue(link)
    await fill(link, "q", 1)
    channel = await link.open_consuming(lambda _: None)
    counts = []

    for _ in range(4):
        delivery = await fetch(channel)
        counts.append(blame(delivery))
        channel.reject(delivery)

    assert counts == [0, 1, 2, 3]


@pytest.mark.parametrize("what", ["channel", "connection"])
async def test_a_close_blames_all_that_is_held(connector: Connector, link: Link, what: str):
    """Started or not: so a worker hands back before it closes."""
    await make_queue(link)
    await fill(link, "q", 2)
    for _ in range(3):
        other = await connector.open("other")
        channel, inbox = await consuming(other, prefetch=2)
        await inbox.reach(2)
        await (channel if what == "channel" else other).close()
        await until_it_holds(link, "q", 2)
        await other.close()

    assert [(blame(d), d.redelivered) for d in await drain(link, "q", 2)] == [(3, True)] * 2


@pytest.mark.parametrize("kind", ["classic", "quorum"])
@pytest.mark.parametrize("how", ["nack", "reject", "close"])
async def test_what_was_delivered_before_says_so(link: Link, kind: str, how: str):
    await link.declare([DeclareQueue("q", {"x-queue-type": kind})])
    await fill(link, "q", 2)
    channel = await link.open_consuming(lambda _: None)
    first = await fetch(channel)
    assert not first.redelivered

    if how == "close":
        await channel.close()
    else:
        getattr(channel, how)(first)
        await channel.synced()
        await channel.close()

    await until_it_holds(link, "q", 2)
    flags = {d.body: d.redelivered for d in await drain(link, "q", 2)}
    assert flags == {b"0": True, b"1": False}


async def test_get_takes_one_message_or_says_that_there_is_none(link: Link):
    await make_queue(link)
    channel = await link.open_consuming(lambda _: None)
    assert await channel.get("q") is None

    await fill(link, "q", 2)
    first, second = await fetch(channel), await fetch(channel)
    assert [first.body, second.body] == [b"0", b"1"]
    assert await channel.get("q") is None

    channel.ack(second)
    channel.nack(first)
    assert (await fetch(channel)).body == b"0"


async def test_get_from_a_missing_queue_ends_the_channel(link: Link):
    closed: list[str] = []
    channel = await link.open_consuming(closed.append)

    with pytest.raises(ChannelClosed) as caught:
        await channel.get("missing")

    assert caught.value.code == 404
    assert "missing" in caught.value.text
    assert not channel.is_open
    await auntil(lambda: len(closed) == 1)
    assert "missing" in closed[0]


async def test_consuming_a_missing_queue_ends_the_channel(link: Link):
    inbox = Inbox()
    channel = await link.open_consuming(inbox.closed.append)

    with pytest.raises(ChannelClosed):
        await inbox.consume(channel, "missing")

    assert not channel.is_open
    assert link.is_open
    assert (inbox.cancelled, len(inbox.closed)) == ([], 1)


async def test_deliveries_before_the_end_of_a_cancel_reach_the_consumer(link: Link, facts: Facts):
    """None is left unsettled without anybody's knowledge, and none is blamed for it.

    Given a fast stream of deliveries, when the consumer is cancelled, then what it got and what is
    left add up, and what it got can be handed back.
    """
    await make_queue(link)
    await fill(link, "q", 500)
    for _ in range(5):
        inbox = Inbox()
        channel = await link.open_consuming(inbox.closed.append)
        tag = await inbox.consume(channel, prefetch=200)
        await channel.cancel(tag)
        got = len(inbox)
        for delivery in inbox.deliveries:
            channel.nack(delivery)
        await channel.synced()
        assert len(inbox) == got, "a delivery came after the cancel returned"
        await until_it_holds(link, "q", 500)
        await channel.close()

    counts = {blame(d) for d in await drain(link, "q", 500)}
    assert counts <= (set(range(6)) if facts.nack_counts else {0})


async def test_a_cancelled_consumer_gets_no_more(link: Link):
    await make_queue(link)
    inbox = Inbox()
    channel = await link.open_consuming(inbox.closed.append)
    tag = await inbox.consume(channel)

    await channel.cancel(tag)
    await fill(link, "q", 3)

    await until_it_holds(link, "q", 3)
    assert (len(inbox), inbox.cancelled) == (0, [])
    assert (await link.depth("q")).consumers == 0  # type: ignore[union-attr]


async def test_a_new_consumer_can_take_over_from_an_old_one(link: Link):
    """Prefetch is changed so: what the old one holds can still be settled."""
    await make_queue(link)
    await fill(link, "q", 10)
    old, new = Inbox(), Inbox()
    channel = await link.open_consuming(old.closed.append)
    tag = await old.consume(channel, prefetch=2)
    await old.reach(2)

    await new.consume(channel, prefetch=3)
    await channel.cancel(tag)
    await new.reach(3)
    for delivery in [*old.deliveries, *new.deliveries]:
        channel.ack(delivery)

    await new.reach(6)
    await channel.synced()
    assert channel.is_open
    assert old.bodies + new.bodies == [b"%d" % n for n in range(8)]


async def test_what_a_cancelled_consumer_holds_takes_nothing_from_the_next_one(link: Link):
    """Given unsettled deliveries of a cancelled consumer, then a new one has its whole prefetch."""
    await make_queue(link)
    await fill(link, "q", 4)
    old, new = Inbox(), Inbox()
    channel = await link.open_consuming(old.closed.append)
    tag = await old.consume(channel, prefetch=2)
    await old.reach(2)
    await channel.cancel(tag)

    await new.consume(channel, prefetch=2)

    await new.reach(2)
    assert (old.bodies, new.bodies) == ([b"0", b"1"], [b"2", b"3"])


async def test_a_deleted_queue_cancels_its_consumers(link: Link, connector: Connector):
    await make_queue(link, "q")
    await make_queue(link, "other")
    await fill(link, "q", 1)
    inbox, bystander = Inbox(), Inbox()
    channel = await link.open_consuming(inbox.closed.append)
    await inbox.consume(channel, "q")
    await bystander.consume(channel, "other")
    await inbox.reach(1)

    await link.delete_queue("q")

    await auntil(lambda: len(inbox.cancelled) == 1)
    assert inbox.closed == []
    assert channel.is_open
    assert bystander.cancelled == []
    await fill(link, "other", 1)
    await bystander.reach(1)


async def test_a_second_ack_closes_the_channel_and_says_why(link: Link):
    """Why a delivery is settled once, on the channel that it came on."""
    await make_queue(link)
    await fill(link, "q", 1)
    channel, inbox = await consuming(link)
    [delivery] = await inbox.reach(1)
    channel.reject(delivery)
    await channel.synced()

    channel.reject(delivery)

    await auntil(lambda: len(inbox.closed) == 1)
    assert "delivery tag" in inbox.closed[0]
    assert not channel.is_open
    assert link.is_open
    with pytest.raises(ChannelClosed):
        await channel.synced()


async def test_settling_on_a_closed_channel_does_nothing(link: Link):
    await make_queue(link)
    await fill(link, "q", 3)
    channel, inbox = await consuming(link)
    held = list(await inbox.reach(3))

    await channel.close()
    channel.ack(held[0])
    channel.nack(held[1])
    channel.reject(held[2])

    await until_it_holds(link, "q", 3)
    assert link.is_open


async def test_the_end_of_a_connection_is_told_to_its_channels(
    connector: Connector, transport: Transport
):
    link = await connector.open("contract")
    await make_queue(link)
    channel, inbox = await consuming(link)
    reasons: list[str] = []
    link.on_lost(reasons.append)

    await asyncio.to_thread(transport.cut, 1)

    await auntil(lambda: len(reasons) == 1 and len(inbox.closed) >= 1)
    assert len(inbox.closed) == 1
    assert not channel.is_open
    assert inbox.cancelled == []
    with pytest.raises(ChannelClosed):
        await asyncio.wait_for(channel.synced(), DEADLINE)
    with pytest.raises(ChannelClosed):
        await asyncio.wait_for(link.open_consuming(print), DEADLINE)
    await link.close()


async def test_a_consumer_that_raises_does_not_end_the_connection(
    link: Link, caplog: pytest.LogCaptureFixture
):
    await make_queue(link)
    seen: list[bytes] = []

    def deliver(delivery: object) -> None:
        seen.append(delivery.body)  # type: ignore[attr-defined]
        raise RuntimeError("broken consumer")

    channel = await link.open_consuming(print)
    await channel.consume("q", prefetch=10, deliver=deliver, cancelled=print)
    await fill(link, "q", 2)

    await auntil(lambda: len(seen) == 2)
    assert link.is_open
    assert channel.is_open
    assert "broken consumer" in caplog.text


async def test_higher_priorities_come_first_where_quorum_queues_have_them(link: Link, facts: Facts):
    await make_queue(link)
    publisher = await link.open_publishing()
    for priority in (0, 2, 9, 1, 9, 31):
        await verdicts(publisher, message(body=b"%d" % priority, priority=priority))

    order = [int(d.body) for d in await drain(link, "q", 6)]

    if facts.quorum_priorities == "strict":
        assert order == [31, 9, 9, 2, 1, 0]
    elif facts.quorum_priorities == "mixed":  # above 4 is high; two high ones, then a low one
        assert order != [0, 2, 9, 1, 9, 31]
        assert order[0] == 9
        assert [n for n in order if n > 4] == [9, 9, 31]
        assert [n for n in order if n <= 4] == [0, 2, 1]
    else:
        assert order == [0, 2, 9, 1, 9, 31]


async def test_higher_priorities_come_first_on_a_classic_queue_that_has_them(link: Link):
    await link.declare([DeclareQueue("q", {**CLASSIC, "x-max-priority": 5})])
    publisher = await link.open_publishing()
    for number, priority in enumerate((1, 5, None, 5, 3)):
        await verdicts(publisher, message(body=b"%d" % number, priority=priority))

    assert [d.body for d in await drain(link, "q", 5)] == [b"1", b"3", b"4", b"0", b"2"]


async def test_of_single_active_consumers_one_is_served_and_the_next_takes_over(
    connector: Connector, link: Link
):
    await make_queue(link, "q", x_single_active_consumer=True)
    other = await connector.open("other")
    first, second = Inbox(), Inbox()
    channel = await link.open_consuming(first.closed.append)
    tag = await first.consume(channel, prefetch=2)
    other_channel = await other.open_consuming(second.closed.append)
    await second.consume(other_channel, prefetch=10)

    await fill(link, "q", 6)
    await first.reach(2)
    await channel.cancel(tag)
    for delivery in first.deliveries:
        channel.nack(delivery)

    await second.reach(6)
    assert first.bodies == [b"0", b"1"]
    assert sorted(second.bodies) == [b"%d" % n for n in range(6)]
    await other.close()


async def test_the_next_active_consumer_sees_the_order_when_nothing_was_held(
    connector: Connector, link: Link
):
    await make_queue(link, "q", x_single_active_consumer=True)
    await fill(link, "q", 6)
    first, second = Inbox(), Inbox()
    channel = await link.open_consuming(first.closed.append)
    tag = await first.consume(channel, prefetch=1)
    other_channel = await link.open_consuming(second.closed.append)
    await first.reach(1)
    await second.consume(other_channel, prefetch=10)

    await channel.cancel(tag)
    channel.ack(first.deliveries[0])
    for late in first.deliveries[1:]:
        channel.nack(late)

    await second.reach(5)
    assert second.bodies == [b"1", b"2", b"3", b"4", b"5"]


async def test_the_next_active_consumer_is_ahead_of_what_the_last_one_gives_back(
    connector: Connector, link: Link
):
    """And is behind it, when it gives its first delivery back after that."""
    await make_queue(link, "q", x_single_active_consumer=True)
    await fill(link, "q", 4)
    first, second = Inbox(), Inbox()
    channel = await link.open_consuming(first.closed.append)
    tag = await first.consume(channel, prefetch=1)
    await first.reach(1)
    other = await connector.open("other")
    other_channel = await other.open_consuming(second.closed.append)
    await second.consume(other_channel, prefetch=1)

    await channel.cancel(tag)
    await second.reach(1)
    assert second.bodies == [b"1"]
    channel.nack(first.deliveries[0])
    await channel.synced()
    other_channel.nack(second.deliveries[0])
    for number in range(2, 6):
        await second.reach(number)
        other_channel.ack(second.deliveries[-1])

    assert second.bodies == [b"1", b"0", b"1", b"2", b"3"]
    await other.close()


async def test_two_consumers_share_a_queue(link: Link):
    await make_queue(link)
    channel, one = await consuming(link, prefetch=5)
    other_channel, two = await consuming(link, prefetch=5)
    publisher = await link.open_publishing()

    await verdicts(publisher, *copies(10, message()))

    await one.reach(5)
    await two.reach(5)
    assert sorted(one.bodies + two.bodies) == [b"%d" % n for n in range(10)]
    assert channel.is_open
    assert other_channel.is_open
