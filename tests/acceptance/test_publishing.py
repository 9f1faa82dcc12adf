"""Publish through a real broker, which is restarted, blocked, forked away from and left."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rmqwork._publisher.publisher_thread import ThreadedPublisher
from rmqwork._topology.topology import TASKS_EXCHANGE, Queue, app_declarations
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import Link
from rmqwork.errors import BrokerBlocked, BrokerUnavailable, PublishError
from rmqwork.testing.broker import Broker
from rmqwork.types import Publication

THREADS = 16
EACH = 1000
ROOT = Path(__file__).parents[2]


def publication(message_id: str, queue: str = "q") -> Publication:
    return Publication(TASKS_EXCHANGE, queue, b'{"x": 1}', message_id, "shop.task")


def publisher_for(url: str, queue: str = "q", heartbeat: int | None = None) -> ThreadedPublisher:
    return ThreadedPublisher(
        connect([url], heartbeat), app_declarations([Queue(queue)]), "acceptance"
    )


@pytest.fixture
def publisher(vhost_url: str) -> Iterator[ThreadedPublisher]:
    publisher = publisher_for(vhost_url)
    yield publisher
    publisher.close(5)


async def drained(url: str, queue: str = "q") -> list[str]:
    """Take all that a queue holds; returns the ids."""
    link: Link = await connect([url]).open("count")
    depth = await link.depth(queue)
    assert depth is not None
    channel = await link.open_consuming(print)
    ids: list[str] = []
    enough = asyncio.Event()

    def deliver(delivery) -> None:  # type: ignore[no-untyped-def]
        ids.append(delivery.message_id)
        channel.ack(delivery)
        if len(ids) >= depth.messages:
            enough.set()

    await channel.consume(queue, prefetch=2000, deliver=deliver, cancelled=print)
    if depth.messages:
        await asyncio.wait_for(enough.wait(), 30)
    await channel.synced()
    await link.close()
    return ids


def all_in(url: str, ids: set[str], queue: str = "q", timeout: float = 60) -> list[str]:
    """Take what a queue holds until all of these ids have come; returns all that came."""
    end = time.monotonic() + timeout
    got: list[str] = []
    while True:
        got += asyncio.run(drained(url, queue))
        missing = ids - set(got)
        if not missing:
            return got
        assert time.monotonic() < end, f"{len(missing)} confirmed messages are missing"


def holds(condition: Callable[[], bool], timeout: float, what: str) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout:g} s: {what}"
        time.sleep(0.01)


def test_sixteen_threads_and_a_loop_at_once(vhost_url: str, publisher: ThreadedPublisher):
    """1,000 publishes each: all are confirmed, each is in its queue once."""

    def thread(name: int) -> list[PublishError | None]:
        errors: list[PublishError | None] = []
        for number in range(EACH):
            errors += publisher.submit([publication(f"{name}-{number}")], 60).result(70)
        return errors

    async def loop() -> list[PublishError | None]:
        async def one(number: int) -> Sequence[PublishError | None]:
            future = publisher.submit([publication(f"loop-{number}")], 60)
            return await asyncio.wrap_future(future)

        answers = await asyncio.gather(*(one(number) for number in range(EACH)))
        return [error for answer in answers for error in answer]

    with ThreadPoolExecutor(THREADS) as pool:
        threads = [pool.submit(thread, name) for name in range(THREADS)]
        errors = asyncio.run(loop())
        for future in threads:
            errors += future.result(120)

    assert errors == [None] * EACH * (THREADS + 1)
    names = {f"{name}-{n}" for name in [*range(THREADS), "loop"] for n in range(EACH)}
    got = all_in(vhost_url, names)
    assert len(got) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["restart", "kill"])
def test_nothing_confirmed_is_missing_after_the_broker_was_restarted(
    fragile_broker: Broker, how: str
):
    """Publishers wait, or raise; what was lost under way is sent again with its id."""
    queue = f"restarted-{how}"
    publisher = publisher_for(fragile_broker.url, queue)
    stop = threading.Event()
    confirmed: set[str] = set()
    failed: dict[str, PublishError] = {}

    def thread(name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            one = publication(f"{name}-{number}", queue)
            [error] = publisher.submit([one], 60).result(70)
            if error is None:
                confirmed.add(one.message_id)
            else:
                failed[one.message_id] = error

    threads = [threading.Thread(target=thread, args=(name,)) for name in range(8)]
    for one in threads:
        one.start()
    try:
        holds(lambda: len(confirmed) > 500, 30, "the first confirms")
        if how == "restart":
            fragile_broker.restart()
        else:
            fragile_broker.kill()
            fragile_broker.start()
        before = len(confirmed)
        holds(lambda: len(confirmed) > before + 500, 30, "confirms after the restart")
    finally:
        stop.set()
        for one in threads:
            one.join(80)
    assert publisher.close(10) == 0

    assert not failed  # the outage was shorter than their timeout: they waited
    all_in(fragile_broker.url, confirmed, queue)


@pytest.mark.slow
def test_publishers_raise_when_the_broker_stays_away(fragile_broker: Broker):
    publisher = publisher_for(fragile_broker.url, "away")
    assert publisher.submit([publication("before", "away")], 30).result(40) == [None]

    fragile_broker.kill()
    try:
        began = time.monotonic()
        [error] = publisher.submit([publication("during", "away")], 1.0).result(10)
        took = time.monotonic() - began
    finally:
        fragile_broker.start()

    assert type(error) is BrokerUnavailable
    assert 0.9 < took < 9
    assert re.search(r"refused|lost", str(error))
    assert publisher.submit([publication("after", "away")], 30).result(40) == [None]
    assert publisher.close(5) == 0
    got = all_in(fragile_broker.url, {"before", "after"}, "away")
    assert set(got) == {"before", "after"}  # what was said not to be sent was not sent


@pytest.mark.slow
def test_a_memory_alarm_blocks_and_clears(fragile_broker: Broker):
    publisher = publisher_for(fragile_broker.url, "alarm")
    assert publisher.submit([publication("before", "alarm")], 30).result(40) == [None]

    fragile_broker.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        # The alarm goes off some time after it was set.
        early: list[str] = []
        blocked = publisher.submit([publication("blocked", "alarm")], 2.0).result(10)
        while blocked == [None] and len(early) < 100:
            early.append(f"early-{len(early)}")
            blocked = publisher.submit([publication(early[-1], "alarm")], 2.0).result(10)
        again = publisher.submit([publication("again", "alarm")], 0.5).result(10)
        waiting = publisher.submit([publication("waiting", "alarm")], 60)
    finally:
        fragile_broker.rabbitmqctl("set_vm_memory_high_watermark", "0.6")

    assert [type(error) for error in (*blocked, *again)] == [BrokerBlocked] * 2
    assert "alarm" in str(blocked[0])
    assert waiting.result(60) == [None]
    assert publisher.submit([publication("after", "alarm")], 30).result(40) == [None]
    assert publisher.close(10) == 0
    all_in(fragile_broker.url, {"before", "waiting", "after"}, "alarm")


def test_parent_and_child_publish_after_a_fork(vhost_url: str, publisher: ThreadedPublisher):
    """Each has its own connection; none of them breaks the other's."""
    assert publisher.submit([publication("parent-0")], 30).result(40) == [None]

    children = []
    for name in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                futures = [
                    publisher.submit([publication(f"child{name}-{n}")], 30) for n in range(50)
                ]
                if all(future.result(40) == [None] for future in futures):
                    code = publisher.close(10)
            finally:
                os._exit(code)
        children.append(child)
    mine = [publisher.submit([publication(f"parent-{n}")], 30).result(40) for n in range(1, 100)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    assert codes == [0, 0, 0]
    assert mine == [[None]] * 99
    names = {f"parent-{n}" for n in range(100)}
    names |= {f"child{name}-{n}" for name in range(3) for n in range(50)}
    assert len(all_in(vhost_url, names)) == len(names)


EXITING = """
from tests.acceptance.test_publishing import publication, publisher_for
publisher = publisher_for({url!r})
for number in range(2000):
    publisher.submit([publication(f"exit-{{number}}")], 60)
"""


def test_an_interpreter_that_exits_has_flushed(vhost_url: str):
    """Given 2,000 publications that nobody waits for, when the program ends, then all are there."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXITING.format(url=vhost_url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    names = {f"exit-{n}" for n in range(2000)}
    assert len(all_in(vhost_url, names)) == 2000
