"""Queues from the outside, and what the broker does with messages that nobody takes."""

from __future__ import annotations

import asyncio

import pytest

from rmqwork._topology.topology import Queue
from rmqwork._transport.port import Connector, Link, QueueDepth
from tests.contract.facts import Facts
from tests.contract.verbs import (
    Inbox,
    consuming,
    copies,
    dead_letters,
    fetch,
    fill,
    make_app,
    make_queue,
    message,
    until_it_holds,
    verdicts,
)


async def test_depth_tells_messages_and_consumers(link: Link):
    await make_queue(link)
    assert await link.depth("q") == QueueDepth(0, 0)

    await fill(link, "q", 5)
    await until_it_holds(link, "q", 5)
    channel = await link.open_consuming(print)
    await Inbox().consume(channel, prefetch=2)

    await until_it_holds(link, "q", 3)
    assert await link.depth("q") == QueueDepth(3, 1)


async def test_depth_of_a_missing_queue_is_none(link: Link):
    assert await link.depth("missing") is None
    assert link.is_open


async def test_purge_removes_what_is_ready_and_says_how_many(link: Link):
    await make_queue(link)
    await fill(link, "q", 5)
    channel, inbox = await consuming(link, prefetch=2)
    await inbox.reach(2)
    await until_it_holds(link, "q", 3)

    assert await link.purge("q") == 3

    channel.nack(inbox.deliveries[0])
    await inbox.reach(3)  # what was held is still there
    assert await link.purge("q") == 0


async def test_a_queue_is_deleted_with_what_it_holds(link: Link):
    await make_queue(link)
    await fill(link, "q", 5)

    await link.delete_queue("q")
    assert await link.depth("q") is None

    await link.delete_queue("q")  # again: no error
    await make_queue(link)
    assert await link.depth("q") == QueueDepth(0, 0)


@pytest.mark.parametrize("kind", ["quorum", "classic"])
async def test_what_outlives_a_queue_is_dead_lettered(link: Link, kind: str):
    await make_app(link, Queue("q", kind, message_ttl=0.2))  # type: ignore[arg-type]
    await fill(link, "q", 3, headers={"kept": "yes"}, type="images.resize")

    letters = await dead_letters(link, "q", 3)

    assert [d.body for d in letters] == [b"0", b"1", b"2"]
    assert {(d.type, d.headers["kept"]) for d in letters} == {("images.resize", "yes")}
    [death] = letters[0].headers["x-death"]  # type: ignore[misc]
    assert (death["reason"], death["queue"], death["count"]) == ("expired", "q", 1)  # type: ignore[index]


async def test_the_brokers_delivery_limit_leads_to_the_dead_letter_queue(link: Link):
    """The safety net; rmqwork's queues have it out of the way, at a million."""
    await make_app(link, Queue("q", arguments={"x-delivery-limit": 2}))
    await fill(link, "q", 1)
    channel, inbox = await consuming(link, prefetch=1)

    for number in range(1, 4):
        await inbox.reach(number)
        channel.reject(inbox.deliveries[-1])

    [letter] = await dead_letters(link, "q", 1)
    [death] = letter.headers["x-death"]  # type: ignore[misc]
    assert death["reason"] == "delivery_limit"  # type: ignore[index]
    assert len(inbox) == 3


async def test_a_dead_letter_with_a_key_of_its_own_is_not_copied(link: Link, facts: Facts):
    """The header CC routes no more; on 4.3 it stays."""
    await make_queue(link, "dead")
    await make_queue(link, "copy")
    await make_queue(
        link, x_message_ttl=300, x_dead_letter_exchange="", x_dead_letter_routing_key="dead"
    )
    await fill(link, "q", 1, headers={"CC": ["copy"]})

    await until_it_holds(link, "dead", 1)
    letter = await fetch(await link.open_consuming(print), "dead")

    assert letter.headers.get("CC") == (["copy"] if facts.keeps_cc else None)
    assert await link.depth("copy") == QueueDepth(1, 0)  # of the publish, and none of the letter


async def test_a_dead_letter_is_counted_on_or_anew(link: Link, facts: Facts):
    """On 4.3 what was counted in a queue is counted on in the one for its dead letters."""
    await make_queue(link, "dead")
    await make_queue(
        link, x_message_ttl=300, x_dead_letter_exchange="", x_dead_letter_routing_key="dead"
    )
    await fill(link, "q", 1)
    channel = await link.open_consuming(print)
    channel.reject(await fetch(channel))
    await until_it_holds(link, "dead", 1)

    channel.reject(await fetch(channel, "dead"))
    again = await fetch(channel, "dead")

    assert again.headers["x-delivery-count"] == (2 if facts.counts_go_on else 1)
    channel.ack(again)


async def test_no_number_of_hand_backs_dead_letters_by_itself(link: Link):
    """25 rounds of a worker's shutdown with a message that never ran."""
    await make_app(link, Queue("q"))
    await fill(link, "q", 1)
    channel = await link.open_consuming(print)

    for _ in range(25):
        channel.nack(await fetch(channel))

    channel.ack(await fetch(channel))
    await channel.synced()
    assert await link.depth("q.dlq") == QueueDepth(0, 0)


async def test_dead_letters_wait_for_a_missing_dead_letter_queue(link: Link):
    """At-least-once: nothing is lost, and what has nowhere to go is still counted.

    The broker tries again after some minutes only, so the test does not wait for that.
    """
    await make_app(link, Queue("q", message_ttl=0.1))
    await link.delete_queue("q.dlq")
    await fill(link, "q", 1)

    await until_it_holds(link, "q", 0)
    await make_queue(link, "q.dlq")
    await fill(link, "q", 1)

    await dead_letters(link, "q", 1)  # the second one found its way


async def test_messages_are_kept_while_nobody_consumes(connector: Connector, link: Link):
    await make_app(link, Queue("q"))
    await fill(link, "q", 3)
    other = await connector.open("other")
    _, inbox = await consuming(other)
    await inbox.reach(3)
    await other.close()

    await until_it_holds(link, "q", 3)


async def test_many_channels_publish_and_consume_at_once(link: Link):
    await make_queue(link)
    publishers = [await link.open_publishing() for _ in range(4)]
    channel, inbox = await consuming(link, prefetch=50)
    acked = 0

    answers = asyncio.gather(*(verdicts(p, *copies(100, message())) for p in publishers))
    while acked < 400:
        await inbox.reach(acked + 1)
        for delivery in inbox.deliveries[acked:]:
            channel.ack(delivery)
            acked += 1
    await channel.synced()

    assert len(await answers) == 4
    assert len({d.message_id for d in inbox.deliveries}) == 400
    assert await link.depth("q") == QueueDepth(0, 1)
