"""Publish a few messages and know what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rmqwork._transport.confirming import verdict_of
from rmqwork._transport.port import Link, PublishChannel
from rmqwork._transport.reconnecting import backoff
from rmqwork.errors import BrokerBlocked, BrokerUnavailable, InvalidMessage, PublishTimeout
from rmqwork.types import Publication, Verdict

_CONFIRM_TIMEOUT: Final = 60.0
_FULL_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was not taken.

    Args:
        why: for people.
        route: whether nothing else can take this route either.
    """

    why: str
    route: bool = True


class Confirming:
    """Publishes over a link, a few at a time, each to its end.

    Args:
        link: that the letters come by, too: what is acked on it arrives before what is published
            after that, whatever happens to this process.
        confirm_timeout: seconds in which the broker has to confirm.
        full_timeout: seconds for which a full queue may refuse a message.
        pause: seconds to wait after so many tries.
    """

    def __init__(
        self,
        link: Link,
        *,
        confirm_timeout: float = _CONFIRM_TIMEOUT,
        full_timeout: float = _FULL_TIMEOUT,
        pause: Callable[[int], float] = backoff,
    ) -> None:
        self._link = link
        self._confirm_timeout = confirm_timeout
        self._full_timeout = full_timeout
        self._pause = pause
        self._channel: PublishChannel | None = None
        self._opening = asyncio.Lock()

    async def publish(self, publications: Sequence[Publication]) -> list[Refusal | None]:
        """Publish all; returns why each was refused, or None where it was confirmed.

        Raises:
            BrokerUnavailable, BrokerBlocked, PublishTimeout: nobody knows.
        """
        await self._open()  # then they go in their order
        return list(await asyncio.gather(*map(self._one, publications)))

    async def _one(self, publication: Publication) -> Refusal | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._full_timeout
        attempt = 0
        while True:
            try:
                verdict, text = await self._once(publication)
            except InvalidMessage as error:
                return Refusal(str(error), route=False)
            match verdict:
                case Verdict.CONFIRMED:
                    return None
                case Verdict.RETURNED:
                    return Refusal(f"no queue takes {_where(publication)}")
                case Verdict.REFUSED:
                    return Refusal(f"the broker refuses {_where(publication)}: {text}", False)
                case Verdict.NACKED if loop.time() > end:
                    return Refusal(f"the queue is full: {_where(publication)}")
                case Verdict.LOST if not self._link.is_open:
                    raise BrokerUnavailable(
                        f"the connection was lost: {text}; what was replayed until now is no dead "
                        "letter any more, the rest stays; run it again"
                    )
            await asyncio.sleep(self._pause(attempt))
            attempt += 1

    async def _once(self, publication: Publication) -> tuple[Verdict, str]:
        channel = await self._open()
        try:
            return await verdict_of(channel, publication, self._confirm_timeout)
        except TimeoutError:
            what = f"{publication.message_id} was not confirmed within {self._confirm_timeout:g} s"
            if self._link.blocked:
                raise BrokerBlocked(
                    f"{what}: the broker blocks publishers (memory or disk alarm); its dead letter "
                    "stays; free memory or disk on the broker and run it again"
                ) from None
            raise PublishTimeout(
                f"{what}; its dead letter stays, and the message may have arrived all the same"
            ) from None

    async def _open(self) -> PublishChannel:
        async with self._opening:
            if self._channel is None or not self._channel.is_open:
                self._channel = await self._link.open_publishing()
            return self._channel


def _where(publication: Publication) -> str:
    if not publication.exchange:
        return f"queue {publication.routing_key!r}"
    return f"exchange {publication.exchange!r}, routing key {publication.routing_key!r}"
