"""The channel of one queue, as the strategies of its consumers use it."""

from __future__ import annotations

from rmqwork._worker.consume.channel import QueueChannel
from rmqwork.types import Delivery
from tests.unit.fakes import FakeConsumeChannel, delivery


async def test_consumers_share_what_the_channel_has_and_may_have_a_receiver_of_their_own() -> None:
    got: list[Delivery] = []
    first: list[Delivery] = []
    reasons: list[str] = []
    broker = FakeConsumeChannel()
    channel = QueueChannel(broker, got.append, reasons.append, {})  # type: ignore[arg-type]

    tag = await channel.start("q", 7)
    own = await channel.start("q.0", 1, first.append)
    one, other = delivery(broker), delivery(broker, 2)
    broker.consumers[tag][2](one)
    broker.consumers[own][2](other)
    broker.consumers[own][3]("the queue is gone")

    assert [consumer[:2] for consumer in broker.consumers.values()] == [("q", 7), ("q.0", 1)]
    assert (got, first, reasons) == ([one], [other], ["the queue is gone"])

    await channel.cancel(tag)

    assert broker.cancelled == [tag]
    assert list(broker.consumers) == [own]
