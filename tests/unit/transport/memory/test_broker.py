"""What the broker in memory has beyond the contract: its clock, its threads, faults, counts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from rmqwork._topology.topology import Bind, DeclareExchange, DeclareQueue
from rmqwork._transport.connecting import connect
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.clock import ManualClock
from rmqwork._transport.memory.connector import MemoryConnector, memory_broker
from rmqwork._transport.memory.exchanges import headers_match, topic_matches
from rmqwork._transport.memory.link import MemoryLink
from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.types import Delivery, Publication, Verdict

QUORUM: dict[str, object] = {"x-queue-type": "quorum"}
SURE: dict[str, object] = {
    **QUORUM,
    "x-dead-letter-exchange": "",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker whose clock stands still."""
    return MemoryBroker("unit", ManualClock())


async def link_to(broker: MemoryBroker, *queues: DeclareQueue) -> MemoryLink:
    link = await MemoryConnector(broker).open("unit")
    await link.declare(queues)
    return link


def message(queue: str, body: bytes = b"{}", **rest: object) -> Publication:
    return Publication("", queue, body, f"id-{body.decode()}", **rest)  # type: ignore[arg-type]


async def publish(link: MemoryLink, *publications: Publication) -> list[Verdict]:
    channel = await link.open_publishing()
    verdicts: list[Verdict] = []
    for publication in publications:
        channel.publish(publication, lambda verdict, _: verdicts.append(verdict))
    await link.turn()
    return verdicts


async def take(link: MemoryLink, queue: str) -> list[Delivery]:
    channel = await link.open_consuming(print)
    taken = []
    while (delivery := await channel.get(queue)) is not None:
        taken.append(delivery)
    return taken


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("#", "", True),
        ("*", "", False),
        ("*", "a", True),
        ("", "", True),
        ("a.#.b", "a.b", True),
        ("a.#.b", "a.x.y.b", True),
        ("a.#.b", "a.x.y", False),
        ("#.#", "", True),
        ("a.*", "a.", True),
        ("*.*", "a", False),
    ],
)
def test_topic_patterns(pattern: str, key: str, fits: bool):
    assert topic_matches(pattern, key) is fits


def test_a_header_of_another_type_does_not_match():
    assert headers_match((("x-match", "all"), ("flag", True)), {"flag": True})
    assert not headers_match((("x-match", "all"), ("flag", True)), {"flag": 1})
    assert headers_match((("x-match", "all"), ("there", None)), {"there": "anything"})


async def test_the_clock_moves_messages_in_their_order(broker: MemoryBroker):
    """Given queues with one time to live each, then one move of the clock takes all their steps."""
    late = DeclareQueue("late", {**SURE, "x-message-ttl": 9000, "x-dead-letter-routing-key": "q"})
    soon = DeclareQueue("soon", {**SURE, "x-message-ttl": 50, "x-dead-letter-routing-key": "late"})
    link = await link_to(broker, DeclareQueue("q", QUORUM), late, soon)
    await publish(link, message("late", b"1"), message("soon", b"2"))

    assert broker.next_due() == pytest.approx(0.05)
    broker.advance(8.99)
    assert await take(link, "q") == []
    broker.advance(0.01)
    assert [d.body for d in await take(link, "q")] == [b"1"]
    broker.advance(0.05)
    [delivery] = await take(link, "q")

    deaths = delivery.headers["x-death"]
    assert [(d["queue"], d["reason"]) for d in deaths] == [  # type: ignore[union-attr,index,call-overload,attr-defined]
        ("late", "expired"),
        ("soon", "expired"),
    ]
    assert broker.next_due() is None


async def test_a_real_clock_cannot_be_moved_and_goes_by_itself():
    broker = MemoryBroker("goes")
    expiring = {**SURE, "x-message-ttl": 30, "x-dead-letter-routing-key": "q"}
    link = await link_to(broker, DeclareQueue("q", QUORUM), DeclareQueue("t", expiring))
    with pytest.raises(TypeError, match="by itself"):
        broker.advance(1)

    await publish(link, message("t"))

    assert await asyncio.to_thread(broker.wait_until, lambda: len(broker.queues["q"]) == 1, 5.0)


async def test_moments_in_headers_follow_the_clock(broker: MemoryBroker):
    """An expiry in 60 s is 59 s away after a second by the broker's clock; also after an hour."""
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    broker.advance(3600)
    at = round(time.time() * 1000) + 60_000
    sent = message("q", headers={"rmqwork-expires-at": at, "mine": at}, timestamp=1_700_000_000)
    await publish(link, sent)

    broker.advance(1)

    [delivery] = await take(link, "q")
    assert delivery.headers["rmqwork-expires-at"] == at - 1000
    assert delivery.headers["mine"] == at
    assert delivery.timestamp == 1_700_000_000 - 1


async def test_32_letters_that_nobody_takes_hold_up_the_others(broker: MemoryBroker):
    """As in RabbitMQ; so returns from the delay queues must always succeed."""
    expiring = DeclareQueue("t", {**SURE, "x-message-ttl": 10, "x-dead-letter-exchange": "x"})
    bind = Bind("x", "q", "q")
    link = await link_to(broker, DeclareQueue("q", QUORUM), expiring)
    await link.declare([DeclareExchange("x", "fanout"), DeclareExchange("y", "direct"), bind])
    for binding in list(broker.exchanges["x"].bindings):
        del broker.exchanges["x"].bindings[binding]
    await publish(link, *(message("t", b"%d" % n) for n in range(32)))
    broker.advance(1)
    await link.declare([bind])
    await publish(link, message("t", b"healthy"))
    broker.advance(1)
    assert await take(link, "q") == []

    broker.advance(180)

    assert len(await take(link, "q")) == 33


async def test_a_circle_without_a_reject_ends(broker: MemoryBroker):
    def ring(name: str, target: str) -> DeclareQueue:
        arguments = {**QUORUM, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": target}
        return DeclareQueue(name, {**arguments, "x-message-ttl": 10})

    link = await link_to(broker, ring("a", "b"), ring("b", "a"))
    await publish(link, message("a"))

    broker.advance(1)

    assert [len(queue) for queue in broker.queues.values()] == [0, 0]


async def test_without_a_dead_letter_exchange_what_expires_is_gone(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", {**QUORUM, "x-message-ttl": 10}))
    await publish(link, message("q"))

    broker.advance(1)

    assert (await link.depth("q")).messages == 0  # type: ignore[union-attr]


async def test_the_head_is_dropped_where_publishes_are_not_refused(broker: MemoryBroker):
    short = {"x-max-length": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d"}
    link = await link_to(broker, DeclareQueue("d", QUORUM), DeclareQueue("q", short))

    await publish(link, *(message("q", b"%d" % n) for n in range(4)))

    assert [d.body for d in await take(link, "q")] == [b"2", b"3"]
    dropped = await take(link, "d")
    assert [d.headers["x-first-death-reason"] for d in dropped] == ["maxlen"] * 2


async def test_a_limit_in_bytes_refuses(broker: MemoryBroker):
    limit = {"x-max-length-bytes": 10, "x-overflow": "reject-publish"}
    link = await link_to(broker, DeclareQueue("q", limit))

    answers = await publish(link, *(message("q", b"12345") for _ in range(3)))

    assert answers == [Verdict.CONFIRMED, Verdict.CONFIRMED, Verdict.NACKED]


async def test_a_higher_consumer_priority_is_served_first(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    low: list[Delivery] = []
    high: list[Delivery] = []
    channel = await link.open_consuming(print)
    for inbox, priority in ((low, 0), (high, 5)):
        await channel.consume(
            "q",
            prefetch=2,
            deliver=inbox.append,
            cancelled=print,
            arguments={"x-priority": priority},
        )

    await publish(link, *(message("q", b"%d" % n) for n in range(3)))

    assert ([d.body for d in high], [d.body for d in low]) == ([b"0", b"1"], [b"2"])


async def test_publishers_are_blocked_and_told_so(broker: MemoryBroker):
    link = await link_to(broker)
    told: list[bool] = []
    link.on_blocked(told.append)

    broker.block_publishers(True)
    await link.turn()
    assert (link.blocked, told) == (True, [True])
    assert (await MemoryConnector(broker).open("later")).blocked

    broker.block_publishers(False)
    await link.turn()
    assert (link.blocked, told) == (False, [True, False])


# ── faults ────────────────────────────────────────────────────────────────────────────────────


async def test_ordered_faults_happen_once_and_where_they_should(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM), DeclareQueue("other", QUORUM))
    broker.faults.next_publish("returned", where=lambda p: p.routing_key == "q")
    broker.faults.next_publish("nacked", times=2)

    answers = await publish(link, *(message(q) for q in ("other", "q", "other", "q", "other")))

    assert [answer.value for answer in answers] == [
        "nacked",
        "returned",
        "nacked",
        "confirmed",
        "confirmed",
    ]
    assert broker.faults.happened == ["nacked", "returned", "nacked"]
    with pytest.raises(ValueError, match="eaten"):
        broker.faults.next_publish("eaten")  # type: ignore[arg-type]


async def test_a_lost_publish_has_arrived_and_its_connection_is_gone(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    lost: list[str] = []
    link.on_lost(lost.append)
    channel = await link.open_publishing()
    answers: list[Verdict] = []
    broker.faults.next_publish("lost")

    for _ in range(2):
        channel.publish(message("q"), lambda verdict, _: answers.append(verdict))
    await asyncio.sleep(0)

    assert answers == [Verdict.LOST] * 2
    assert len(lost) == 1
    assert len(broker.queues["q"]) == 1


@pytest.mark.parametrize("operations", [0, 1, 2])
async def test_the_connection_drops_at_the_nth_operation(broker: MemoryBroker, operations: int):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    channel = await link.open_publishing()
    answers: list[Verdict] = []

    broker.faults.drop_connection(after=operations)
    for _ in range(4):
        channel.publish(message("q"), lambda verdict, _: answers.append(verdict))
    await asyncio.sleep(0)

    assert sorted(a.value for a in answers) == sorted(
        ["confirmed"] * operations + ["lost"] * (4 - operations)
    )
    assert len(broker.queues["q"]) == operations
    assert not link.is_open


async def test_nobody_connects_while_connections_are_refused(broker: MemoryBroker):
    broker.faults.refuses_connections = True
    with pytest.raises(BrokerUnavailable, match="memory://unit"):
        await MemoryConnector(broker).open("unit")

    broker.faults.clear()
    assert (await MemoryConnector(broker).open("unit")).is_open


# ── addresses, threads, loops ─────────────────────────────────────────────────────────────────


def test_an_address_is_one_broker_in_this_process():
    one, two = connect(["memory://here"]), connect(["memory://here"])
    assert one.broker is two.broker is memory_broker("here")  # type: ignore[attr-defined]
    assert connect(["memory://"]).broker is not memory_broker("here")  # type: ignore[attr-defined]
    assert one.label == "memory://here"
    for wrong in (["memory://a", "memory://b"], ["memory://a", "amqp://b"], ["memory://a/vhost"]):
        with pytest.raises(ConfigurationError):
            connect(wrong)


def test_threads_with_loops_of_their_own_share_a_broker():
    """Given publishers and consumers in four threads, then each message comes once."""
    broker = MemoryBroker("threads")
    number, publishers = 300, 2
    got: list[bytes] = []
    done = threading.Event()

    async def publishing(which: int) -> None:
        link = await link_to(broker, DeclareQueue("q", QUORUM))
        sent = [message("q", b"%d" % (which * number + n)) for n in range(number)]
        assert await publish(link, *sent) == [Verdict.CONFIRMED] * number
        await link.close()

    async def consuming(_: int) -> None:
        link = await link_to(broker, DeclareQueue("q", QUORUM))
        channel = await link.open_consuming(print)

        def deliver(delivery: Delivery) -> None:
            got.append(delivery.body)
            channel.ack(delivery)
            if len(got) == publishers * number:
                done.set()

        await channel.consume("q", prefetch=7, deliver=deliver, cancelled=print)
        await asyncio.to_thread(done.wait, 20)
        await link.close()

    def run(work: Callable[[int], object], which: int) -> threading.Thread:
        thread = threading.Thread(target=lambda: asyncio.run(work(which)))  # type: ignore[arg-type]
        thread.start()
        return thread

    threads = [run(consuming, n) for n in range(2)] + [run(publishing, n) for n in range(2)]
    for thread in threads:
        thread.join(30)

    assert sorted(int(body) for body in got) == list(range(publishers * number))
    assert not broker.links


def test_a_loop_that_was_closed_gives_back_what_it_held(broker: MemoryBroker):
    async def hold() -> None:
        link = await link_to(broker, DeclareQueue("q", QUORUM))
        channel = await link.open_consuming(print)
        await channel.consume("q", prefetch=1, deliver=print, cancelled=print)

    async def use() -> list[Delivery]:
        link = await link_to(broker)
        await publish(link, message("q"))
        return await take(link, "q")

    asyncio.run(hold())

    assert len(asyncio.run(use())) == 1
    assert len(broker.links) == 1  # the second one, which nobody has closed either


async def test_what_a_publisher_changes_later_is_not_what_arrives(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", QUORUM))
    headers = {"list": [1], "table": {"a": (1, 2)}}

    await publish(link, message("q", headers=headers))
    headers["list"].append(2)  # type: ignore[attr-defined]

    [delivery] = await take(link, "q")
    assert delivery.headers == {"list": [1], "table": {"a": [1, 2]}}


async def test_a_queue_with_one_active_consumer_refuses_get(broker: MemoryBroker):
    link = await link_to(broker, DeclareQueue("q", {**QUORUM, "x-single-active-consumer": True}))
    channel = await link.open_consuming(print)

    with pytest.raises(Exception, match="single active consumer"):
        await channel.get("q")

    assert link.is_open
    assert not channel.is_open


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-queue-type": "quorum", "x-max-priority": 5},
        {"x-queue-type": "classic", "x-delivery-limit": 5},
        {"x-queue-type": "bogus"},
        {"x-message-ttl": -1},
        {"x-overflow": "bogus"},
    ],
)
async def test_what_rabbitmq_would_not_declare_is_refused(
    broker: MemoryBroker, arguments: dict[str, object]
):
    with pytest.raises(ConfigurationError, match="refused to declare 'q'"):
        await link_to(broker, DeclareQueue("q", arguments))
