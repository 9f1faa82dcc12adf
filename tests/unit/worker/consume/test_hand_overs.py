"""Whatever becomes of consumers, a partition's messages run in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rmqwork._topology.topology import DeclareQueue, Queue
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import ConsumeChannel, Link
from rmqwork._worker.consume.partition import FirstDeliveryRequeue
from rmqwork.types import Delivery, Publication
from tests.waiting import auntil

ARGUMENTS = Queue("q", partitions=1).declared_arguments()
STEPS = st.lists(
    st.sampled_from(["publish", "finish", "leave", "leave unfinished", "die", "come"]), max_size=30
)
_numbers = count()


class Member:
    """A worker of one partition: holds one message, and runs nothing else meanwhile."""

    def __init__(self, log: list[tuple[str, int]]) -> None:
        self._log = log
        self.channel: ConsumeChannel
        self.held: Delivery | None = None
        self._first = FirstDeliveryRequeue(self._take, wait=60.0)
        self._tag = ""

    async def join(self, link: Link) -> None:
        self.channel = await link.open_consuming(lambda _: None)
        self._tag = await self.channel.consume(
            "q", prefetch=1, deliver=self._first, cancelled=lambda _: None
        )

    def _take(self, delivery: Delivery) -> None:
        self.held = delivery
        self._log.append(("started", int(delivery.body)))

    def finish(self) -> None:
        """Its run ends."""
        if self.held is not None:
            self._log.append(("ended", int(self.held.body)))
            self.channel.ack(self.held)
            self.held = None

    def wait_over(self) -> None:
        """It has waited long enough with its first delivery."""
        self._first.end()

    async def leave(self) -> None:
        """Between two messages, or with one that has to run again."""
        await self.channel.cancel(self._tag)
        if self.held is not None:
            self.channel.nack(self.held)
        self._first.end()

    async def die(self) -> None:
        """Its channel ends with what it holds."""
        await self.channel.close()


async def play(steps: Sequence[str]) -> None:
    link = await connect((f"memory://hand-overs-{next(_numbers)}",), None).open("test")
    await link.declare([DeclareQueue("q", ARGUMENTS)])
    publisher = await link.open_publishing()
    log: list[tuple[str, int]] = []
    members: list[Member] = []
    published = 0
    for step in [*steps, "come", "publish"]:
        if step == "publish":
            body = str(published).encode()
            publisher.publish(Publication("", "q", body, body.decode()), lambda *_: None)
            published += 1
        elif step == "come":
            members.append(Member(log))
            await members[-1].join(link)
        elif members:
            await go(members, step)
        await settle(members)

    def all_done() -> bool:
        for member in members:
            member.wait_over()
            member.finish()
        return len({number for what, number in log if what == "ended"}) == published

    await auntil(all_done, "all messages")
    await link.close()
    assert early(log) == []


async def settle(members: Sequence[Member]) -> None:
    """What was given back has arrived, and then those who waited for that go on."""
    for _ in range(40):
        await asyncio.sleep(0)
    for member in members:
        member.wait_over()
    for _ in range(40):
        await asyncio.sleep(0)


async def go(members: list[Member], step: str) -> None:
    """Something becomes of the member that is served, which is the first of those that stayed."""
    member = members[0]
    if step == "finish":
        member.finish()
        return
    members.pop(0)
    if step == "leave":
        member.finish()
    if step == "die":
        await member.die()
    else:
        await member.leave()


def early(log: Sequence[tuple[str, int]]) -> list[int]:
    """What started before all messages before it had ended."""
    ended: set[int] = set()
    found = []
    for what, number in log:
        if what == "ended":
            ended.add(number)
        elif not ended.issuperset(range(number)):
            found.append(number)
    return found


@settings(max_examples=60, deadline=None)
@example(["publish", "publish", "come", "come", "leave unfinished"])
@given(STEPS)
def test_messages_run_in_order(steps: list[str]):
    asyncio.run(play(steps))
