"""Delays: never early, little late, back where they belong, and nobody stops the others."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from rmqwork._messages.headers import may_travel
from rmqwork._topology import delays
from rmqwork._topology.topology import (
    RETURN_EXCHANGE,
    TASKS_EXCHANGE,
    UNROUTABLE,
    Binding,
    Exchange,
    Queue,
    app_declarations,
)
from rmqwork._transport.port import Link, PublishChannel
from rmqwork.types import Delivery, Publication, Verdict
from tests.contract.verbs import Inbox, copies, drain, make_app, message, until_it_holds, verdicts

LATE = 10.0
"""Seconds that a delayed message may be late on a busy machine; alone it is 5 to 25 ms."""
CONFIRMED = Verdict.CONFIRMED


async def make_delays(link: Link, *queues: Queue, exchanges: tuple[Exchange, ...] = ()) -> None:
    """Declare an app and its way through the delay queues."""
    await link.declare(app_declarations(queues, exchanges))
    twins = [TASKS_EXCHANGE, *(exchange.name for exchange in exchanges)]
    plan = delays.ladder_declarations()
    for name in twins:
        plan += delays.first_publish_declarations(name)
    await link.declare(plan)


class Clocked(Inbox):
    """An inbox that notes when each delivery came."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[bytes, float] = {}

    def take(self, delivery: Delivery) -> None:
        self.at[delivery.body] = time.time()
        self.deliveries.append(delivery)


async def clocked(link: Link, *queues: str) -> Clocked:
    """Consume queues, with the time of each delivery."""
    inbox = Clocked()
    for queue in queues:
        channel = await link.open_consuming(inbox.closed.append)
        await channel.consume(
            queue, prefetch=1000, deliver=inbox.take, cancelled=inbox.cancelled.append
        )
    return inbox


async def test_several_delays_at_once_each_come_at_their_time(
    link: Link, publisher: PublishChannel
):
    """None waits behind a longer one."""
    await make_delays(link, Queue("q"))
    inbox = await clocked(link, "q")
    waits = [1.5, 0.01, 0.8, 0.3, 0.025, 0.55, 1.13, 0.1]
    now = time.time()

    answers = await verdicts(
        publisher,
        *(message("q", TASKS_EXCHANGE, b"%d" % n, due=now + w) for n, w in enumerate(waits)),
    )
    await inbox.reach(len(waits))

    assert answers == [CONFIRMED] * len(waits)
    late = [inbox.at[b"%d" % n] - now - wait for n, wait in enumerate(waits)]
    assert min(late) >= -0.002, f"early: {late}"
    assert max(late) <= LATE, f"late: {late}"
    assert max(inbox.at, key=inbox.at.__getitem__) == b"0", "others waited behind the longest"


async def test_what_is_due_is_published_at_once(link: Link, publisher: PublishChannel):
    """Also where there are no delay queues: an eta in the past needs none."""
    await make_app(link, Queue("q"))

    assert await verdicts(publisher, message("q", TASKS_EXCHANGE, due=time.time() - 5)) == [
        CONFIRMED
    ]

    [delivery] = await drain(link, "q", 1)
    assert (delivery.exchange, delivery.routing_key) == (TASKS_EXCHANGE, "q")


async def test_properties_survive_the_delay(link: Link, publisher: PublishChannel):
    await make_delays(link, Queue("q"))
    sent = Publication(
        TASKS_EXCHANGE,
        "q",
        b'{"x": 1}',
        "an-id",
        "images.resize",
        {"mine": 1, "rmqwork-attempt": 2},
        time.time() + 0.2,
        3,
        correlation_id="c",
        reply_to="r",
        timestamp=17,
        app_id="shop",
    )

    assert await verdicts(publisher, sent) == [CONFIRMED]
    await until_it_holds(link, "q", 1)

    [got] = await drain(link, "q", 1)
    assert (got.body, got.routing_key, got.message_id, got.type) == (
        sent.body,
        "q",
        "an-id",
        "images.resize",
    )
    assert (got.priority, got.correlation_id, got.reply_to) == (3, "c", "r")
    assert (got.timestamp, got.app_id) == (17, "shop")
    assert may_travel(got.headers) == {"mine": 1, "rmqwork-attempt": 2}


FIRST = {
    "topic": (Exchange("x", "topic"), Binding("x", "images.*"), "images.resize", {}, "images"),
    "direct": (Exchange("x", "direct"), Binding("x", "red"), "red", {}, "blue"),
    "fanout": (Exchange("x", "fanout"), Binding("x"), "whatever", {}, None),
    "headers": (
        Exchange("x", "headers"),
        Binding("x", "", {"x-match": "all", "kind": "image"}),
        "some.key",
        {"kind": "image"},
        None,
    ),
}


@pytest.mark.parametrize("kind", FIRST)
async def test_a_first_publish_returns_through_the_twin_of_its_exchange(
    link: Link, publisher: PublishChannel, kind: str
):
    """To all queues that are bound, by the bindings of its exchange; its key is not changed."""
    exchange, binding, key, headers, astray = FIRST[kind]
    await make_delays(
        link, Queue("a", bindings=[binding]), Queue("b", bindings=[binding]), exchanges=(exchange,)
    )
    due = time.time() + 0.15
    sent = [message(key, "x", b"1", headers=headers, due=due)]
    if astray is not None:
        sent.append(message(astray, "x", b"astray", due=due))

    assert await verdicts(publisher, *sent) == [CONFIRMED] * len(sent)

    for queue in ("a", "b"):
        await until_it_holds(link, queue, 1)
        [delivery] = await drain(link, queue, 1)
        assert (delivery.body, delivery.routing_key) == (b"1", key)
        # what a delivery calls its exchange is where its last level sent it, never the twin
        assert delivery.headers[delays.DUE_HEADER] == "x"
    await until_it_holds(link, UNROUTABLE, len(sent) - 1)


async def test_a_retry_returns_to_one_queue_by_its_name(link: Link, publisher: PublishChannel):
    """Not to the others that its exchange leads to."""
    everything = Binding("x", "#")
    await make_delays(
        link,
        Queue("a", bindings=[everything]),
        Queue("b", bindings=[everything]),
        exchanges=(Exchange("x"),),
    )

    await verdicts(publisher, message("a", RETURN_EXCHANGE, due=time.time() + 0.1))

    await until_it_holds(link, "a", 1)
    await drain(link, "b", 0)


async def test_a_delay_by_the_default_exchange_returns_by_queue_name(
    link: Link, publisher: PublishChannel
):
    await make_delays(link, Queue("q"))

    await verdicts(publisher, message("q", "", due=time.time() + 0.1))

    await until_it_holds(link, "q", 1)


async def test_a_second_round_comes_back_like_the_first(link: Link, publisher: PublishChannel):
    """A message that is published again is no cycle to the broker, however often.

    Given a message through the same levels again and again, with all headers that may travel, and
    once even with those of the broker, then it comes back each time.
    """
    await make_delays(link, Queue("q"))
    channel = await link.open_consuming(print)
    publication = message("q", RETURN_EXCHANGE, due=time.time() + 0.1)

    for round_ in range(4):
        assert await verdicts(publisher, publication) == [CONFIRMED]
        await until_it_holds(link, "q", 1)
        delivery = await channel.get("q")
        assert delivery is not None
        channel.ack(delivery)
        headers = dict(delivery.headers) if round_ == 1 else may_travel(delivery.headers)
        publication = replace(publication, headers=headers, due=time.time() + 0.1)


async def test_forty_for_a_deleted_queue_and_forty_for_a_full_one_stop_nobody(
    link: Link, publisher: PublishChannel
):
    """At-least-once dead-lettering stalls on about 32 messages that nobody takes."""
    await make_delays(link, Queue("gone"), Queue("full", max_length=2), Queue("well"))
    await verdicts(publisher, *copies(8, message("full", TASKS_EXCHANGE)))
    await link.delete_queue("gone")
    inbox = await clocked(link, "well")
    due = time.time() + 0.3

    bad = [
        *copies(20, message("gone", RETURN_EXCHANGE, due=due)),
        *copies(20, message("gone", TASKS_EXCHANGE, due=due)),
        *copies(20, message("full", RETURN_EXCHANGE, due=due)),
        *copies(20, message("full", TASKS_EXCHANGE, due=due)),
    ]
    assert await verdicts(publisher, *bad) == [CONFIRMED] * 80
    healthy = copies(10, message("well", TASKS_EXCHANGE, due=due))
    assert await verdicts(publisher, *healthy) == [CONFIRMED] * 10
    await inbox.reach(10)

    assert max(inbox.at.values()) - due <= LATE
    await until_it_holds(link, UNROUTABLE, 40)
    await until_it_holds(link, "full.due", 40)
    later = message("well", RETURN_EXCHANGE, b"later", due=time.time() + 0.2)
    await verdicts(publisher, later)
    await inbox.reach(11)
    assert {d.body for d in await drain(link, "full.due", 40)} == {b"%d" % n for n in range(20)}


@pytest.mark.parametrize(
    ("wait", "level"),
    [(60, 11), (3600, 17), (86_400, 21), (30 * 86_400, 26), (delays.MAX_DELAY, 29)],
)
async def test_far_delays_wait_in_the_level_of_their_size(
    link: Link, publisher: PublishChannel, wait: float, level: int
):
    await make_delays(link, Queue("q"))

    answer = await verdicts(publisher, message("q", TASKS_EXCHANGE, due=time.time() + wait))

    assert answer == [CONFIRMED]
    await until_it_holds(link, delays.level_name(level), 1)


async def test_a_delay_beyond_the_longest_is_the_longest(link: Link, publisher: PublishChannel):
    await make_delays(link, Queue("q"))
    century = time.time() + 100 * 365 * 86_400

    assert await verdicts(publisher, message("q", TASKS_EXCHANGE, due=century)) == [CONFIRMED]

    await until_it_holds(link, delays.level_name(delays.LEVELS - 1), 1)


async def test_many_delays_are_all_back_in_time(link: Link, publisher: PublishChannel):
    await make_delays(link, Queue("q"))
    inbox = await clocked(link, "q")
    start = time.time() + 0.1
    sent = [
        message("q", TASKS_EXCHANGE, b"%d" % n, due=start + (n * 7 % 400) / 200) for n in range(400)
    ]

    answers = await asyncio.gather(*(verdicts(publisher, *sent[at::4]) for at in range(4)))
    await inbox.reach(400)

    assert all(answer == [CONFIRMED] * 100 for answer in answers)
    late = sorted(inbox.at[p.body] - (p.due or 0) for p in sent)
    assert len(inbox) == 400
    assert late[0] >= -0.002
    assert late[200] <= LATE / 4, f"half are later than {late[200]:.3f} s"
    assert late[-1] <= LATE
