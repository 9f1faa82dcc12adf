"""Publish one message on a channel, and await what the broker says."""

from __future__ import annotations

import asyncio

from rmqwork._transport.port import PublishChannel
from rmqwork.types import Publication, Verdict


async def verdict_of(
    channel: PublishChannel, publication: Publication, timeout: float | None = None
) -> tuple[Verdict, str]:
    """Publish a message; returns the verdict, and the broker's words where it gave any.

    Args:
        channel: in confirm mode.
        publication: the message.
        timeout: seconds in which the broker has to answer; None = it has any time.

    Raises:
        InvalidMessage: it cannot be sent.
        TimeoutError: no answer; the message may have arrived all the same.
    """
    answer: asyncio.Future[tuple[Verdict, str]] = asyncio.get_running_loop().create_future()

    def settled(verdict: Verdict, text: str) -> None:
        if not answer.done():
            answer.set_result((verdict, text))

    channel.publish(publication, settled)
    async with asyncio.timeout(timeout):
        return await answer
