"""Ask workers, and wait for what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from time import monotonic
from typing import Final

from rmqwork._control.wire import (
    Answer,
    Command,
    NotACommand,
    answer_of,
    answers_queue,
    control_declarations,
)
from rmqwork._transport.confirming import verdict_of
from rmqwork._transport.port import ChannelClosed, Connector, Link, PublishChannel
from rmqwork.errors import BrokerUnavailable, PublishError
from rmqwork.types import Delivery, Verdict

_CONFIRM_TIMEOUT: Final = 10.0
_PREFETCH: Final = 1000
Enough = Callable[[Sequence[Answer]], bool]


class Asker:
    """A connection that commands go out on, and answers come in on; see `asker`."""

    def __init__(self, link: Link, queue: str) -> None:
        self._link = link
        self._queue = queue
        self._answers: dict[str, list[Answer]] = {}
        self._changed = asyncio.Event()
        self._channel: PublishChannel | None = None

    async def tell(self, command: Command) -> None:
        """Say something; returns when the broker has it.

        Raises:
            PublishError: it does not.
        """
        if self._channel is None or not self._channel.is_open:
            self._channel = await self._link.open_publishing()
        await _publish(self._channel, command)

    async def ask(
        self, command: Command, timeout: float, enough: Enough | None = None
    ) -> list[Answer]:
        """Say something, and wait for answers.

        Args:
            command: what.
            timeout: seconds, from now on.
            enough: says when no more answers are to be waited for; None = wait all the time.

        Raises:
            PublishError: the broker did not take the command.
            BrokerUnavailable: the connection was lost.
        """
        until = monotonic() + timeout
        answers = self._answers[command.id] = []
        await self.tell(replace(command, reply_to=self._queue))
        try:
            while not (enough is not None and enough(answers)):
                self._changed.clear()
                left = until - monotonic()
                if left <= 0:
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), left)
                if not self._link.is_open:
                    raise BrokerUnavailable("the connection was lost while workers were asked")
            return sorted(answers, key=lambda answer: (answer.worker, answer.host, answer.pid))
        finally:
            del self._answers[command.id]

    def take(self, delivery: Delivery) -> None:
        """An answer has come."""
        delivery.channel.ack(delivery)
        answers = self._answers.get(delivery.correlation_id or "")
        if answers is not None:
            with suppress(NotACommand):
                answers.append(answer_of(delivery.body))
        self._changed.set()

    def ended(self, _reason: str) -> None:
        """The connection or the consumer has ended."""
        self._changed.set()


@asynccontextmanager
async def asker(connector: Connector, name: str) -> AsyncIterator[Asker]:
    """Connect, to ask workers.

    Args:
        connector: where connections come from.
        name: shown in the broker's list of connections.

    Raises:
        BrokerUnavailable: there is no broker.
        ConfigurationError: this user may not do it.
    """
    link = await connector.open(name)
    try:
        queue = answers_queue()
        await link.declare([*control_declarations(), queue])
        asking = Asker(link, queue.name)
        link.on_lost(asking.ended)
        channel = await link.open_consuming(asking.ended)
        await channel.consume(
            queue.name, prefetch=_PREFETCH, deliver=asking.take, cancelled=asking.ended
        )
        yield asking
        if link.is_open:
            with suppress(ChannelClosed):
                await link.delete_queue(queue.name)
    finally:
        await link.close()


async def _publish(channel: PublishChannel, command: Command) -> None:
    try:
        verdict, text = await verdict_of(channel, command.publication(), _CONFIRM_TIMEOUT)
    except TimeoutError:
        raise PublishError(
            f"{command.do}: not confirmed within {_CONFIRM_TIMEOUT:g} s; does the broker have a "
            "memory or disk alarm (rmqwork doctor)?",
            may_have_arrived=True,
        ) from None
    if verdict is not Verdict.CONFIRMED:
        raise PublishError(f"{command.do}: the broker did not take it: {verdict.value} {text}")
