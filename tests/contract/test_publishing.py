"""Publish: routes, confirms, returns, refusals, properties."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from rmqwork._topology.topology import Bind, DeclareQueue
from rmqwork._transport.port import Connector, Link, PublishChannel
from rmqwork.errors import InvalidMessage
from rmqwork.types import Publication, Verdict
from tests.contract.facts import Facts
from tests.contract.transports import Transport
from tests.contract.verbs import (
    CLASSIC,
    bound,
    copies,
    drain,
    fill,
    make_queue,
    message,
    publish,
    until_it_holds,
    verdicts,
)
from tests.waiting import auntil

CONFIRMED, RETURNED, NACKED = Verdict.CONFIRMED, Verdict.RETURNED, Verdict.NACKED
REFUSED, LOST = Verdict.REFUSED, Verdict.LOST


async def test_the_default_exchange_routes_by_queue_name(link: Link, publisher: PublishChannel):
    await make_queue(link, "q")

    assert await verdicts(publisher, message("q", body=b"one")) == [CONFIRMED]

    [delivery] = await drain(link, "q", 1)
    assert (delivery.body, delivery.exchange, delivery.routing_key) == (b"one", "", "q")
    assert (delivery.queue, delivery.redelivered) == ("q", False)


async def test_a_direct_exchange_routes_by_the_whole_key(link: Link, publisher: PublishChannel):
    await link.declare(bound("x", "direct", Bind("x", "a", "red"), Bind("x", "b", "blue")))

    answers = await verdicts(
        publisher, message("red", "x"), message("blue", "x"), message("re", "x")
    )

    assert answers == [CONFIRMED, CONFIRMED, RETURNED]
    assert (await drain(link, "a", 1))[0].routing_key == "red"
    assert (await drain(link, "b", 1))[0].exchange == "x"


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("images.*", ["images.resize", "images."], ["images", "images.resize.now", "image.x"]),
        ("images.#", ["images", "images.resize", "images.resize.now"], ["imagesx", "x.images"]),
        ("#", ["", "anything", "a.b.c"], []),
        ("*.resize.#", ["images.resize", "images.resize.a.b"], ["resize", "a.b.resize"]),
    ],
)
async def test_a_topic_exchange_routes_by_patterns(
    link: Link, publisher: PublishChannel, pattern: str, fits: list[str], does_not: list[str]
):
    await link.declare(bound("x", "topic", Bind("x", "q", pattern)))

    answers = await verdicts(publisher, *(message(key, "x") for key in fits + does_not))

    assert answers == [CONFIRMED] * len(fits) + [RETURNED] * len(does_not)
    assert [d.routing_key for d in await drain(link, "q", len(fits))] == fits


async def test_a_queue_bound_twice_gets_a_message_once(link: Link, publisher: PublishChannel):
    await link.declare(bound("x", "topic", Bind("x", "q", "a.*"), Bind("x", "q", "*.b")))

    assert await verdicts(publisher, message("a.b", "x")) == [CONFIRMED]

    await drain(link, "q", 1)


async def test_a_fanout_exchange_routes_to_all(link: Link, publisher: PublishChannel):
    await link.declare(bound("x", "fanout", Bind("x", "a"), Bind("x", "b", "ignored")))

    assert await verdicts(publisher, message("whatever", "x")) == [CONFIRMED]

    for queue in ("a", "b"):
        assert [d.routing_key for d in await drain(link, queue, 1)] == ["whatever"]


@pytest.mark.parametrize(
    ("match", "headers", "routed"),
    [
        ("all", {"kind": "image", "size": 3}, True),
        ("all", {"kind": "image", "size": 3, "more": True}, True),
        ("all", {"kind": "image"}, False),
        ("all", {"kind": "image", "size": 4}, False),
        ("any", {"size": 3}, True),
        ("any", {"kind": "sound", "size": 4}, False),
        ("any", {}, False),
    ],
)
async def test_a_headers_exchange_routes_by_headers(
    link: Link, publisher: PublishChannel, match: str, headers: dict[str, object], routed: bool
):
    arguments = {"x-match": match, "kind": "image", "size": 3}
    await link.declare(bound("x", "headers", Bind("x", "q", "", arguments)))

    assert await verdicts(publisher, message("any.key", "x", headers=headers)) == [
        CONFIRMED if routed else RETURNED
    ]


async def test_exchanges_lead_into_each_other(link: Link, publisher: PublishChannel):
    await link.declare(
        [
            *bound("inner", "fanout", Bind("inner", "q")),
            *bound("outer", "topic", Bind("outer", "inner", "go.#", {}, True)),
        ]
    )

    assert await verdicts(publisher, message("go.on", "outer"), message("no", "outer")) == [
        CONFIRMED,
        RETURNED,
    ]


async def test_a_returned_message_says_so_and_others_do_not(link: Link, publisher: PublishChannel):
    await make_queue(link)
    mixed = [message("q" if n % 3 else "nowhere") for n in range(60)]

    answers = await publish(publisher, mixed)

    assert [verdict for verdict, _ in answers] == [
        CONFIRMED if n % 3 else RETURNED for n in range(60)
    ]
    assert "NO_ROUTE" in answers[0][1]
    assert answers[1][1] == ""
    await until_it_holds(link, "q", 40)


async def test_of_two_messages_with_one_id_the_right_one_is_returned(
    link: Link, publisher: PublishChannel
):
    """An id is published again when nobody knows what became of it: two may be under way."""
    await make_queue(link)
    good = Publication("", "q", b"{}", "same")
    astray = Publication("", "nowhere", b"{}", "same")

    assert await verdicts(publisher, good, astray) == [CONFIRMED, RETURNED]
    assert await verdicts(publisher, astray, good) == [RETURNED, CONFIRMED]


async def test_confirms_come_for_each_of_many(link: Link, publisher: PublishChannel):
    await make_queue(link)

    answers = await verdicts(publisher, *copies(1000, message("q")))

    assert answers == [CONFIRMED] * 1000
    assert [d.body for d in await drain(link, "q", 1000)] == [b"%d" % n for n in range(1000)]


async def test_a_full_classic_queue_refuses_at_its_limit(link: Link, publisher: PublishChannel):
    limit = {"x-max-length": 3, "x-overflow": "reject-publish"}
    await link.declare([DeclareQueue("q", {**CLASSIC, **limit})])

    answers = await publish(publisher, copies(5, message("q")))

    assert [verdict for verdict, _ in answers] == [CONFIRMED] * 3 + [NACKED] * 2
    assert answers[-1][1] != ""


async def test_a_full_quorum_queue_refuses_near_its_limit(link: Link, publisher: PublishChannel):
    """It overshoots, on all versions: it learns late that it is full. Nothing confirmed is lost."""
    await make_queue(link, "q", x_max_length=3, x_overflow="reject-publish")

    answers = [(await verdicts(publisher, m))[0] for m in copies(12, message("q"))]

    taken = answers.count(CONFIRMED)
    assert 3 <= taken < 12
    assert answers == [CONFIRMED] * taken + [NACKED] * (12 - taken)
    await drain(link, "q", taken)


async def test_a_missing_exchange_returns_only_its_own_messages(
    link: Link, publisher: PublishChannel
):
    """The broker closes the channel for it: who was under way with it is not known."""
    await make_queue(link)

    answers = await publish(publisher, [message("q"), message("q", "missing"), message("q")])

    assert [answers[0][0] in (CONFIRMED, LOST), answers[1][0]] == [True, RETURNED]
    assert answers[2][0] is LOST
    assert "missing" in answers[1][1]
    assert not publisher.is_open
    assert await verdicts(await link.open_publishing(), message("q")) == [CONFIRMED]


async def test_a_missing_delay_queue_is_not_a_lost_channel(link: Link, publisher: PublishChannel):
    """What will never work must not look like something to try again at once."""
    await make_queue(link)

    [verdict] = await verdicts(publisher, message("q", due=time.time() + 60))

    assert verdict is RETURNED


@pytest.mark.slow
async def test_a_body_above_the_limit_is_refused_and_no_other(
    link: Link, publisher: PublishChannel, facts: Facts
):
    await make_queue(link)
    largest = message("q", body=bytes(min(facts.largest_message, 16 << 20)))
    too_large = message("q", body=bytes(facts.largest_message + 1))

    assert await verdicts(publisher, largest) == [CONFIRMED]
    answers = await publish(publisher, [message("q"), too_large, message("q")])

    assert answers[1][0] is REFUSED
    assert str(facts.largest_message) in answers[1][1]
    assert answers[0][0] in (CONFIRMED, LOST)
    assert answers[2][0] is LOST
    assert link.is_open


@pytest.mark.parametrize("refused", ["", "closed", "topics"])
async def test_without_the_right_to_write_only_the_culprit_is_refused(
    link: Link, transport: Transport, refused: str
):
    """By exchange, also the default one, and by topic: one of each closes the channel."""
    await link.declare(
        [
            *bound("open", "fanout", Bind("open", "q")),
            *bound("closed", "fanout", Bind("closed", "q")),
            *bound("topics", "topic", Bind("topics", "q", "#")),
        ]
    )
    with transport.restricted(write="open|topics", topics={"topics": "allowed.*"}) as connector:
        theirs = await connector.open("restricted")
        channel = await theirs.open_publishing()

        innocents = [message("q", "open"), message("allowed.x", "topics")]
        answers = await verdicts(channel, message("q", refused), *innocents)

        assert answers[0] is REFUSED
        assert set(answers[1:]) == {LOST}
        assert await verdicts(await theirs.open_publishing(), *innocents) == [CONFIRMED] * 2
        await theirs.close()


async def test_all_properties_arrive(link: Link, publisher: PublishChannel):
    await make_queue(link)
    sent = Publication(
        "",
        "q",
        b'{"x": 1}',
        "0192-id",
        "images.resize",
        {"rmqwork-attempt": 3, "traceparent": "00-ab", "flag": True},
        None,
        3,
        "application/json",
        "gzip",
        "correlation",
        "reply.to",
        1_700_000_000,
        "shop",
    )

    assert await verdicts(publisher, sent) == [CONFIRMED]

    [got] = await drain(link, "q", 1)
    assert {key: got.headers[key] for key in sent.headers} == sent.headers
    for name in (
        "body",
        "message_id",
        "type",
        "priority",
        "content_type",
        "content_encoding",
        "correlation_id",
        "reply_to",
        "timestamp",
        "app_id",
    ):
        assert getattr(got, name) == getattr(sent, name), name


async def test_what_is_not_given_is_not_there(link: Link, publisher: PublishChannel):
    await make_queue(link)

    await verdicts(publisher, Publication("", "q", b"", "an-id", content_type=None))

    [got] = await drain(link, "q", 1)
    assert (got.body, got.message_id) == (b"", "an-id")
    assert {
        got.type,
        got.priority,
        got.content_type,
        got.content_encoding,
        got.correlation_id,
        got.reply_to,
        got.timestamp,
        got.app_id,
    } == {None}
    assert not [key for key in got.headers if not key.startswith("x-")]


HEADERS: dict[str, object] = {
    "text": "grün 漢字 🐇",
    "empty": "",
    "true": True,
    "false": False,
    "zero": 0,
    "small": -1,
    "large": 2**31,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "nothing": None,
    "bytes": b"\x00\xff",
    "fraction": 1.5,
    "list": ["a", 1, True, None, ["deep"], {"in": "list"}],
    "table": {"a": 1, "b": {"c": [False]}, "empty": {}},
}


@pytest.mark.parametrize("name", HEADERS)
async def test_headers_of_every_kind_arrive_as_they_were(
    link: Link, publisher: PublishChannel, name: str
):
    """Foreign producers write what AMQP can carry, and a retry must not change it."""
    await make_queue(link)

    assert await verdicts(publisher, message("q", headers={name: HEADERS[name]})) == [CONFIRMED]

    [got] = await drain(link, "q", 1)
    assert got.headers[name] == HEADERS[name]
    assert type(got.headers[name]) is type(HEADERS[name])


@pytest.mark.parametrize(
    "wrong",
    [
        message("q", headers={"n": 2**63}),
        message("q", headers={"o": object()}),
        message("q", headers={"f": math.nan}),
        message("q", headers={"f": [{"in": math.inf}]}),
        message("q", headers={"long": "x" * 200_000}),
        message("q", headers={"k" * 256: 1}),
        message("q" * 256),
        message("q", "x" * 256),
        message("q", type="t" * 256),
        message("q", priority=256),
        message("q", correlation_id="ü" * 128),
    ],
    ids=[
        "64 bits",
        "object",
        "nan",
        "infinite",
        "frame",
        "name",
        "key",
        "exchange",
        "type",
        "priority",
        "utf-8",
    ],
)
async def test_what_cannot_be_encoded_is_said_and_hurts_nobody(
    link: Link, publisher: PublishChannel, wrong: Publication
):
    await make_queue(link)
    settled: list[object] = []

    with pytest.raises(InvalidMessage):
        publisher.publish(wrong, lambda *_: settled.append(wrong))

    assert await verdicts(publisher, message("q")) == [CONFIRMED]
    assert settled == []


async def test_a_body_of_many_frames_arrives_whole(link: Link, publisher: PublishChannel):
    await make_queue(link)
    bodies = [bytes([n % 251]) * n for n in (1, 131_063, 131_064, 131_065, 1_000_000)]

    answers = await verdicts(publisher, *(message("q", body=body) for body in bodies))

    assert set(answers) == {CONFIRMED}
    assert [d.body for d in await drain(link, "q", len(bodies))] == bodies


async def test_messages_survive_their_connection(connector: Connector, link: Link):
    await make_queue(link)
    first = await connector.open("first")
    await fill(first, "q", 3)
    await first.close()

    await drain(link, "q", 3)


async def test_what_is_under_way_when_we_close_is_settled_once(connector: Connector, link: Link):
    """Given publications without an answer, when the link is closed, then each has one."""
    await make_queue(link)
    closing = await connector.open("closing")
    channel = await closing.open_publishing()
    answers: list[Verdict] = []
    for publication in copies(50, message("q")):
        channel.publish(publication, lambda verdict, _: answers.append(verdict))

    await closing.close()

    assert len(answers) == 50
    assert set(answers) <= {CONFIRMED, LOST}
    assert not channel.is_open
    late: list[Verdict] = []
    channel.publish(message("q"), lambda verdict, _: late.append(verdict))
    assert late == [LOST]


async def test_what_is_under_way_when_the_broker_closes_is_lost(
    connector: Connector, link: Link, transport: Transport
):
    """Given a stream of publications, when the connection ends, then each has one answer."""
    await make_queue(link)
    other = await connector.open("other")
    channel = await other.open_publishing()
    lost: list[str] = []
    other.on_lost(lost.append)
    published, answers = 0, list[Verdict]()

    cutting = asyncio.create_task(asyncio.to_thread(transport.cut, 2))
    while channel.is_open:
        if published - len(answers) < 50:
            published += 1
            channel.publish(message("q"), lambda verdict, _: answers.append(verdict))
        await asyncio.sleep(0.001)
    await cutting

    await auntil(lambda: len(lost) == 1)
    assert lost[0]
    assert not other.is_open
    assert len(answers) == published
    assert set(answers) <= {CONFIRMED, LOST}
    await other.close()
