"""Move messages from one queue to another: published, confirmed, and only then acked."""

from __future__ import annotations

import asyncio
from typing import Final, Self

from rmqwork._messages import headers as names
from rmqwork._messages.ids import uuid7
from rmqwork._transport.confirming import verdict_of
from rmqwork._transport.port import ChannelClosed, ConsumeChannel, Link, PublishChannel
from rmqwork.errors import RmqworkError
from rmqwork.types import Delivery, Publication, Verdict

_PREFETCH: Final = 500
_RETRY_INTERVAL: Final = 0.2


class Interrupted(RmqworkError):
    """The move ended before its end; what was moved was moved, the rest is where it was."""


class Mover:
    """Moves what a queue has, and what comes into it, until it is stopped.

    A kill between a confirm and its ack leaves a message in both queues, with one id: at most
    as many as the prefetch.

    Args:
        source: the queue that messages are taken from.
        target: the queue that they go to.
        consuming: a channel of a connection that only consumes.
        publishing: a channel of another one.
        pause: seconds until a message that the target refused (full, not there) is tried again.
    """

    def __init__(
        self,
        source: str,
        target: str,
        consuming: ConsumeChannel,
        publishing: PublishChannel,
        *,
        pause: float = _RETRY_INTERVAL,
    ) -> None:
        self._source = source
        self._target = target
        self._consuming = consuming
        self._publishing = publishing
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._moving: set[asyncio.Task[None]] = set()
        self._tag = ""
        self.held = 0
        """Messages that were taken and are not yet settled."""
        self.moved = 0
        """Messages that are in the target and no longer in the source."""
        self.problem: Exception | None = None

    @classmethod
    async def start(cls, source: str, target: str, taking: Link, giving: Link) -> Self:
        """Begin to move.

        Args:
            source: the queue that messages are taken from.
            target: the queue that they go to.
            taking: the connection that consumes.
            giving: the connection that publishes.
        """
        ended: list[str] = []
        consuming = await taking.open_consuming(ended.append)
        self = cls(source, target, consuming, await giving.open_publishing())
        self._tag = await consuming.consume(
            source, prefetch=_PREFETCH, deliver=self._deliver, cancelled=self._cancelled
        )
        return self

    def check(self) -> None:
        """See that it goes on.

        Raises:
            Interrupted: it does not.
        """
        if self.problem is None and self._consuming.is_open and self._publishing.is_open:
            return
        raise Interrupted(
            f"moving {self._source!r} to {self._target!r} was interrupted: "
            f"{self.problem or 'the connection was lost'}; nothing is lost: run it again, it goes "
            "on where it was"
        )

    async def stop(self) -> None:
        """Take no more, wait for what was taken, and until the broker has seen every ack."""
        try:
            await self._consuming.cancel(self._tag)
            while self.held:
                self.check()
                await asyncio.sleep(0.01)
            await self._consuming.synced()
            await self._consuming.close()
        except ChannelClosed as closed:
            self.problem = self.problem or closed
            self.check()

    def _cancelled(self, reason: str) -> None:
        self.problem = self.problem or Interrupted(reason)

    def _deliver(self, delivery: Delivery) -> None:
        self.held += 1
        task = self._loop.create_task(self._move(delivery))
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _move(self, delivery: Delivery) -> None:
        """Publish a message until the target has it, then ack it."""
        publication = moved(delivery, self._target)
        while self._publishing.is_open and self._consuming.is_open:
            try:
                verdict, text = await verdict_of(self._publishing, publication)
            except RmqworkError as error:
                self.problem = error
                return
            match verdict:
                case Verdict.CONFIRMED:
                    self.held -= 1
                    self.moved += 1
                    if self._consuming.is_open:
                        self._consuming.ack(delivery)
                    return
                case Verdict.RETURNED | Verdict.NACKED:
                    await asyncio.sleep(self._pause)
                case Verdict.REFUSED:
                    self.problem = RmqworkError(text)
                    return
                case Verdict.LOST:
                    self.problem = self.problem or RmqworkError(text or "the connection was lost")
                    return


def moved(delivery: Delivery, target: str) -> Publication:
    """The message for another queue, with where it was first published in its headers."""
    origin = {names.EXCHANGE: delivery.exchange, names.ROUTING_KEY: delivery.routing_key}
    return Publication.copy_of(
        delivery,
        "",
        target,
        message_id=delivery.message_id or str(uuid7()),
        headers={**origin, **names.may_travel(delivery.headers)},
    )
