"""One broker in memory for many threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork.types import Delivery, Verdict
from tests.unit.transport.memory.links import QUORUM, link_to, message, publish


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
