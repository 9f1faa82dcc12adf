"""Reading dead letters from a real broker leaves them as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rmqwork import deadletters
from rmqwork._publisher.publisher import Batch, Publisher
from rmqwork._topology.topology import Queue, app_declarations
from rmqwork._transport.connecting import connect
from rmqwork.deadletters import DeadLetter
from rmqwork.errors import BrokerUnavailable
from rmqwork.types import Publication

COUNT = 500


async def fill(url: str, publications: Sequence[Publication], queues: Sequence[Queue]) -> None:
    publisher = Publisher(connect([url]), app_declarations(queues), "test")
    batch = Batch(publications, 30)
    publisher.submit(batch)
    assert not any(await asyncio.wrap_future(batch.future))
    await publisher.close(5)


def letters(count: int) -> list[Publication]:
    return [
        Publication(
            "",
            "q.dlq",
            b'{"n": %d}\x00\xff' % number,
            f"id{number}",
            "shop.add",
            {"rmqwork-error-reason": "failed", "rmqwork-attempt": 2, "own": f"h{number}"},
            priority=number % 3,
        )
        for number in range(count)
    ]


def told(letter: DeadLetter) -> tuple[object, ...]:
    own = {name: value for name, value in letter.headers.items() if not name.startswith("x-")}
    return letter.id, letter.body, letter.task, letter.attempt, own, letter.properties


async def test_order_and_content_are_unchanged_however_often_it_is_read(
    vhost_url: str, broker_version: tuple[int, ...]
) -> None:
    connector = connect([vhost_url])
    await fill(vhost_url, letters(COUNT), [Queue("q")])

    first = await deadletters.aread(connector, ["q"])
    assert sorted(letter.id or "" for letter in first) == sorted(f"id{n}" for n in range(COUNT))
    for limit in (COUNT // 3, 1, None, 0, 7, None):
        again = await deadletters.aread(connector, ["q"], limit)
        wanted = first if limit is None else first[:limit]
        assert [told(letter) for letter in again] == [told(letter) for letter in wanted]

    link = await connector.open("test")
    depth = await link.depth("q.dlq")
    await link.close()
    assert depth is not None
    assert (depth.messages, depth.consumers) == (COUNT, 0)
    if broker_version >= (4, 3):
        assert all("x-delivery-count" not in letter.headers for letter in again)


async def test_what_comes_meanwhile_goes_behind(vhost_url: str) -> None:
    connector = connect([vhost_url])
    await fill(vhost_url, letters(3), [Queue("q")])
    await deadletters.aread(connector, ["q"])
    late = Publication("", "q.dlq", b"late", "late", "shop.add", {})
    await fill(vhost_url, [late], [Queue("q")])
    ids = [letter.id for letter in await deadletters.aread(connector, ["q"])]
    assert len(ids) == 4
    assert ids[-1] == "late"


async def test_an_error_of_the_visitor_loses_nothing(vhost_url: str) -> None:
    connector = connect([vhost_url])
    await fill(vhost_url, letters(50), [Queue("q")])
    seen: list[str | None] = []

    def visit(letter: DeadLetter) -> None:
        seen.append(letter.id)
        if len(seen) == 20:
            raise KeyError("enough")

    before = [letter.id for letter in await deadletters.aread(connector, ["q"])]
    with pytest.raises(KeyError, match="enough"):
        await deadletters.ascan(connector, ["q"], visit)
    assert seen == before[:20]
    assert [letter.id for letter in await deadletters.aread(connector, ["q"])] == before


async def test_what_the_broker_moved_and_what_others_wrote(vhost_url: str) -> None:
    connector = connect([vhost_url])
    queues = [Queue("q", message_ttl=0.05), Queue("other")]
    foreign = Publication("", "q.dlq", b"\xff\x00", "", None, {"odd": 1}, content_type=None)
    dying = Publication("rmqwork.tasks", "q", b"{}", "dies", "shop.add", {})
    await fill(vhost_url, [foreign, dying], queues)

    async with asyncio.timeout(10):
        while len(found := await deadletters.aread(connector, ["q", "other"])) < 2:
            await asyncio.sleep(0.05)
    by_body = {letter.body: letter for letter in found}
    moved, odd = by_body[b"{}"], by_body[b"\xff\x00"]
    assert (moved.reason, moved.by_broker, moved.queue) == ("expired", True, "q")
    assert (moved.exchange, moved.routing_key) == ("rmqwork.tasks", "q")
    assert moved.at is not None
    assert (odd.reason, odd.task, odd.attempt) == ("unknown", None, 1)


async def test_what_is_not_there_is_said(vhost_url: str) -> None:
    (reading,) = await deadletters.ascan(connect([vhost_url]), ["nosuch"], lambda _: None)
    assert not reading.exists
    with pytest.raises(BrokerUnavailable):
        await deadletters.aread(connect(["amqp://guest:guest@127.0.0.1:1/"]), ["q"])
