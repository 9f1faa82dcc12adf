"""A broker of plain objects: what the publisher and the worker see of one, moved by the test."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from rmqwork._topology.differences import Difference
from rmqwork._topology.topology import Declaration
from rmqwork._transport.port import ChannelClosed, QueueDepth, Settled
from rmqwork.errors import BrokerUnavailable
from rmqwork.types import Delivery, Publication, Server, Verdict


async def turns(number: int = 5) -> None:
    """Let the loop turn, so that all that was scheduled has happened."""
    for _ in range(number):
        await asyncio.sleep(0)


class QuickClock:
    """A clock for what connects again: each wait is over at once."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.001)


class FakeChannel:
    """A publish channel that keeps what it gets; the test says what becomes of it.

    With ``answer`` set, each publication is answered so in the next loop turn.
    """

    def __init__(self, answer: Verdict | None = None) -> None:
        self.is_open = True
        self.held = False
        self.answer = answer
        self.sent: list[Publication] = []
        self.open: deque[tuple[Publication, Settled]] = deque()
        self.most = 0
        self.refuse: Callable[[Publication], Exception | None] = lambda _: None
        self.may_close = asyncio.Event()
        self.may_close.set()

    def publish(self, publication: Publication, settled: Settled) -> None:
        error = self.refuse(publication)
        if error is not None:
            raise error
        if not self.is_open:
            settled(Verdict.LOST, "closed")
            return
        self.sent.append(publication)
        self.open.append((publication, settled))
        self.most = max(self.most, len(self.open))
        if self.answer is not None:
            asyncio.get_running_loop().call_soon(self.settle, self.answer)

    def hold(self) -> None:
        """Note it."""
        self.held = True

    def flush(self) -> None:
        """Note it."""
        self.held = False

    def settle(self, verdict: Verdict, text: str = "") -> Publication:
        """Answer the oldest publication."""
        publication, settled = self.open.popleft()
        settled(verdict, text)
        return publication

    async def close(self) -> None:
        """Close it, unless the broker does not answer."""
        await self.may_close.wait()
        self.end()

    def end(self) -> None:
        """The channel ends; what is open is lost."""
        self.is_open = False
        while self.open:
            self.settle(Verdict.LOST, "closed")


class FakeConsumeChannel:
    """A consume channel that notes what is settled, in order."""

    def __init__(self, closed: Callable[[str], None] = lambda _: None) -> None:
        self.is_open = True
        self.told = closed
        self.log: list[tuple[str, int]] = []
        self.consumers: dict[str, tuple[str, int, Any, Any]] = {}
        self.cancelled: list[str] = []
        self.refusal: ChannelClosed | None = None
        self.late: list[Delivery] = []
        self._tags = count(1)
        self.syncs = 0

    async def consume(
        self,
        queue: str,
        *,
        prefetch: int,
        deliver: Callable[[Delivery], None],
        cancelled: Callable[[str], None],
        arguments: Mapping[str, object] | None = None,
    ) -> str:
        await asyncio.sleep(0)
        if self.refusal is not None:
            self.end(str(self.refusal))
            raise self.refusal
        if not self.is_open:
            raise ChannelClosed(0, "closed")
        tag = f"{queue}-{next(self._tags)}"
        self.consumers[tag] = (queue, prefetch, deliver, cancelled)
        return tag

    async def cancel(self, consumer_tag: str) -> None:
        _, _, deliver, _ = self.consumers[consumer_tag]
        for delivery in self.late:
            deliver(delivery)
        await asyncio.sleep(0)
        del self.consumers[consumer_tag]
        self.cancelled.append(consumer_tag)

    async def get(self, queue: str) -> Delivery | None:
        return None

    def ack(self, delivery: Delivery) -> None:
        assert self.is_open, "an ack on a channel that is gone"
        self.log.append(("ack", delivery.tag))

    def nack(self, delivery: Delivery) -> None:
        assert self.is_open, "a nack on a channel that is gone"
        self.log.append(("nack", delivery.tag))

    def reject(self, delivery: Delivery) -> None:
        assert self.is_open, "a reject on a channel that is gone"
        self.log.append(("reject", delivery.tag))

    async def synced(self) -> None:
        await asyncio.sleep(0)
        if not self.is_open:
            raise ChannelClosed(0, "closed")
        self.syncs += 1

    async def close(self) -> None:
        self.is_open = False

    def end(self, reason: str) -> None:
        """The channel ends unasked."""
        self.is_open = False
        self.told(reason)


class FakeLink:
    """An open connection."""

    def __init__(self, connector: FakeConnector) -> None:
        self.server = Server("Fake", connector.version)
        self.is_open = True
        self.blocked = False
        self.released = False
        self.declared: list[Sequence[Declaration]] = []
        self.channels: list[FakeChannel] = []
        self.consuming: list[FakeConsumeChannel] = []
        self._connector = connector
        self._on_lost: list[Callable[[str], None]] = []
        self._on_blocked: list[Callable[[bool], None]] = []

    def on_lost(self, callback: Callable[[str], None]) -> None:
        self._on_lost.append(callback)

    def on_blocked(self, callback: Callable[[bool], None]) -> None:
        self._on_blocked.append(callback)

    async def missing(self, plan: Sequence[Declaration]) -> list[Declaration]:
        return []

    async def declare(self, plan: Sequence[Declaration]) -> list[Difference]:
        await asyncio.sleep(0)
        if self._connector.declaring is not None:
            error = self._connector.declaring(plan)
            if error is not None:
                raise error
        self.declared.append(plan)
        return []

    async def open_publishing(self) -> FakeChannel:
        await asyncio.sleep(0)
        channel = FakeChannel(self._connector.answer)
        channel.refuse = self._connector.refuse
        self.channels.append(channel)
        return channel

    async def open_consuming(self, closed: Callable[[str], None]) -> FakeConsumeChannel:
        await asyncio.sleep(0)
        if not self.is_open:
            raise ChannelClosed(0, "closed")
        channel = FakeConsumeChannel(closed)
        channel.refusal = self._connector.consume_refusal
        self.consuming.append(channel)
        return channel

    async def depth(self, queue: str) -> QueueDepth | None:
        return None

    async def purge(self, queue: str) -> int:
        return 0

    async def delete_queue(self, queue: str) -> None:
        pass

    async def close(self) -> None:
        self.is_open = False
        for channel in self.channels:
            channel.end()
        for consuming in self.consuming:
            consuming.is_open = False

    def release(self) -> None:
        self.released = True

    def lose(self, reason: str = "reset by peer") -> None:
        """The connection ends unasked."""
        self.is_open = False
        for consuming in self.consuming:
            if consuming.is_open:
                consuming.end(reason)
        for channel in self.channels:
            channel.end()
        for callback in self._on_lost:
            callback(reason)

    def block(self, blocked: bool) -> None:
        """An alarm on the broker is raised, or cleared."""
        self.blocked = blocked
        for callback in self._on_blocked:
            callback(blocked)


class FakeConnector:
    """Where fake links come from.

    Args:
        answer: what becomes of each publication; None = the test says it.
    """

    label = "fake://broker"

    def __init__(self, answer: Verdict | None = Verdict.CONFIRMED) -> None:
        self.answer = answer
        self.version = (4, 3, 0)
        self.up = True
        self.attempts = 0
        self.links: list[FakeLink] = []
        self.declaring: Callable[[Sequence[Declaration]], Exception | None] | None = None
        self.refuse: Callable[[Publication], Exception | None] = lambda _: None
        self.consume_refusal: ChannelClosed | None = None

    @property
    def link(self) -> FakeLink:
        """The link that was opened last."""
        return self.links[-1]

    @property
    def channel(self) -> FakeChannel:
        """The publish channel that was opened last."""
        return self.links[-1].channels[-1]

    async def open(self, name: str) -> FakeLink:
        self.attempts += 1
        await asyncio.sleep(0)
        if not self.up:
            raise BrokerUnavailable("fake://broker: nobody answers")
        link = FakeLink(self)
        self.links.append(link)
        return link


_numbers = count(1)


def delivery(channel: object | None = None, tag: int = 1, **given: Any) -> Delivery:
    """A delivery with whatever is not given made up."""
    values: dict[str, Any] = {
        "queue": "q",
        "exchange": "rmqwork.tasks",
        "routing_key": "q",
        "redelivered": False,
        "body": b"{}",
        "headers": {},
        "message_id": "id-1",
        "type": "shop.task",
        "content_type": "application/json",
        "content_encoding": None,
        "correlation_id": None,
        "reply_to": None,
        "priority": None,
        "timestamp": None,
        "app_id": None,
    }
    return Delivery(channel if channel is not None else FakeConsumeChannel(), tag, **values | given)


def publication(**given: Any) -> Publication:
    """A publication with an id of its own."""
    values = {
        "exchange": "rmqwork.tasks",
        "routing_key": "q",
        "body": b"{}",
        "message_id": f"id-{next(_numbers)}",
        "type": "shop.task",
    }
    return Publication(**values | given)
