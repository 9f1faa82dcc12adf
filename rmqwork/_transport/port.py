"""The transport port: what rmqwork asks of a broker, and nothing more.

Adapters stand behind it; `rmqwork._transport.amqp` is RabbitMQ, on pika. All methods are called in
the asyncio loop in which the link was opened; callbacks come in the same loop. One contract suite
(`tests/contract`) holds for every adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from rmqwork._topology.differences import Difference
from rmqwork._topology.topology import Declaration
from rmqwork.errors import PublishError
from rmqwork.types import Delivery, Publication, Server, Verdict

Settled = Callable[[Verdict, str], None]
"""Called once with what became of a publication, and the broker's words where it gave any."""


class ChannelClosed(Exception):
    """A channel, or the connection under it, ended. ``code`` is the broker's reply code or 0."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})" if code else text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What a passive declare tells of a queue."""

    messages: int
    consumers: int


class PublishChannel(Protocol):
    """A channel in confirm mode. Every publication is ``mandatory`` and persistent."""

    @property
    def is_open(self) -> bool:
        """Whether publications can be given to it."""
        ...

    def publish(self, publication: Publication, settled: Settled) -> None:
        """Send a publication; ``settled`` is called once, also when the channel ends (LOST).

        Raises:
            InvalidMessage: the properties cannot be encoded, or do not fit one frame.
        """

    def hold(self) -> None:
        """Send what is published from here on with the next `flush`, within this loop turn.

        Without the two, it goes at the end of the turn, for which the loop turns once more.
        """

    def flush(self) -> None:
        """Send at once what was published."""

    async def close(self) -> None:
        """Close the channel; what has no answer yet is told to be lost."""


class ConsumeChannel(Protocol):
    """A channel that consumes from one or more queues and settles what it delivered."""

    @property
    def is_open(self) -> bool:
        """Whether deliveries of this channel can still be settled."""
        ...

    async def consume(
        self,
        queue: str,
        *,
        prefetch: int,
        deliver: Callable[[Delivery], None],
        cancelled: Callable[[str], None],
        arguments: Mapping[str, object] | None = None,
    ) -> str:
        """Start a consumer; returns its tag.

        Args:
            queue: the queue's name.
            prefetch: how many unsettled deliveries this consumer may hold.
            deliver: called with each delivery.
            cancelled: called with a reason when the broker ends the consumer (the queue is gone,
                or a consumer timeout). Not called after `cancel` or when the channel closes.
            arguments: of the consumer.
        """
        ...

    async def cancel(self, consumer_tag: str) -> None:
        """End a consumer; deliveries may still come until this returns."""

    async def get(self, queue: str) -> Delivery | None:
        """Fetch one message, or None when the queue is empty."""

    def ack(self, delivery: Delivery) -> None:
        """Done with it. Acks of one loop turn travel together."""

    def nack(self, delivery: Delivery) -> None:
        """Hand it back to its queue, without blame where the broker can tell (4.3)."""

    def nack_all(self, tags: Sequence[int]) -> None:
        """`nack` deliveries by their tags, ascending; a row of the oldest travels as one frame."""

    def reject(self, delivery: Delivery) -> None:
        """Hand it back to its queue as a failure: raises its delivery count."""

    async def synced(self) -> None:
        """Returns when the broker has processed all that was settled before; raises when not."""

    async def close(self) -> None:
        """Close the channel; what is unsettled goes back to its queues."""


class Link(Protocol):
    """One open connection to a broker."""

    server: Server

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether the broker holds publishers back (a memory or disk alarm)."""
        ...

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Register what is called once, with a reason, when the connection ends unasked."""

    def on_blocked(self, callback: Callable[[bool], None]) -> None:
        """Register what is called when the broker blocks (True) or unblocks publishers."""

    async def declare(self, plan: Sequence[Declaration]) -> list[Difference]:
        """Make what a plan says; what exists with other properties is used if it suits.

        Returns:
            the differences of what exists and suits all the same.

        Raises:
            TopologyMismatch: what exists does not suit.
        """
        ...

    async def missing(self, plan: Sequence[Declaration]) -> list[Declaration]:
        """Which exchanges and queues of a plan do not exist; changes nothing.

        What this user may do nothing with is taken on trust.
        """
        ...

    async def open_publishing(self) -> PublishChannel:
        """Open a channel in confirm mode."""
        ...

    async def open_consuming(self, closed: Callable[[str], None]) -> ConsumeChannel:
        """Open a channel to consume; ``closed`` is called with a reason if it ends unasked."""
        ...

    async def depth(self, queue: str) -> QueueDepth | None:
        """How many messages wait in a queue and who reads it; None when there is no such queue."""

    async def purge(self, queue: str) -> int:
        """Remove all ready messages of a queue; returns how many."""
        ...

    async def delete_queue(self, queue: str) -> None:
        """Delete a queue with what it holds; no error when there is none."""

    async def close(self) -> None:
        """Close the connection after all that was sent has gone out."""

    def release(self) -> None:
        """In a forked child: drop the parent's connection without a word to the broker."""


class Connector(Protocol):
    """Where links come from: knows the broker's addresses and credentials."""

    @property
    def label(self) -> str:
        """The addresses without passwords, for people."""
        ...

    async def open(self, name: str) -> Link:
        """Open a connection; ``name`` is shown in the broker's list of connections.

        Tries each address once, in random order.

        Raises:
            BrokerUnavailable: none answered, with the reason of each.
        """
        ...


class PublishPort(Protocol):
    """Where an app gives its publications: a connection of its own, or a pipe to the worker's."""

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        """Publish; may be called from any thread.

        Args:
            publications: in the order in which they are to be sent.
            timeout: seconds for all of them together.

        Returns:
            a future of one entry a publication: None when confirmed, else the error. It ends soon
            after ``timeout`` at the latest. Errors of configuration (`ConfigurationError`,
            `TopologyMismatch`) are raised by the future.
        """
        ...

    def close(self, timeout: float) -> int:
        """Wait for what was submitted; returns how many publications could not be confirmed."""
        ...
