"""A channel in confirm mode."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import Final, NamedTuple

from rmqwork._topology import delays
from rmqwork._transport.memory.connection import Connection
from rmqwork._transport.memory.exchanges import NO_ROUTE
from rmqwork._transport.memory.message import plain
from rmqwork._transport.port import ChannelClosed, Settled
from rmqwork._transport.properties import (
    HEADER_FRAME_OVERHEAD,
    check_frame,
    check_route,
    encode_properties,
)
from rmqwork.types import Publication, Verdict

MAX_MESSAGE: Final = 16 << 20
"""Bytes of body that RabbitMQ takes since 4.0 unless told otherwise."""
FRAME_MAX: Final = 131072
"""Bytes that all properties together may take, as RabbitMQ has it unless told otherwise."""
_VERDICTS: Final = {404: Verdict.RETURNED, 403: Verdict.REFUSED, 406: Verdict.REFUSED}


class _InFlight(NamedTuple):
    publication: Publication
    settled: Settled


class MemoryPublishChannel:
    """See `rmqwork._transport.port.PublishChannel`."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._in_flight: dict[int, _InFlight] = {}
        self._next = 1
        self._reason: ChannelClosed | None = None

    @property
    def is_open(self) -> bool:
        """Whether publications can be given to it."""
        return self._reason is None and self._link.is_open

    def hold(self) -> None:
        """Nothing waits here; see the port."""

    def flush(self) -> None:
        """Nothing waits here; see the port."""

    def publish(self, publication: Publication, settled: Settled) -> None:
        """Send a publication; see the port."""
        if not self.is_open:
            settled(Verdict.LOST, str(self._reason or self._link.reason))
            return
        routed = _routed(publication)
        _check(routed)
        number, self._next = self._next, self._next + 1
        self._in_flight[number] = _InFlight(publication, settled)
        broker = self._link.broker
        with broker.at_work():
            try:
                self._link.operate()
                verdict, text = self._take(routed)
            except ChannelClosed as closed:
                verdict, text = _VERDICTS.get(closed.code, Verdict.LOST), closed.text
                self._link.post(self._answer, number, verdict, text)
                if self._link.is_open:
                    self._link.forget(self)
                    self.end(closed, asked=False)
                return
            self._link.post(self._answer, number, verdict, text)

    def _take(self, publication: Publication) -> tuple[Verdict, str]:
        """Have the broker take it, as the rights, the limits and the ordered faults let it."""
        link = self._link
        rights, broker = link.rights, link.broker
        rights.check(rights.write, "exchange", publication.exchange)
        exchange = broker.exchanges.get(publication.exchange)
        if exchange is not None and exchange.type == "topic":
            rights.check_topic(publication.exchange, publication.routing_key)
        if len(publication.body) > MAX_MESSAGE:
            text = (
                f"PRECONDITION_FAILED - message size {len(publication.body)} is larger than "
                f"configured max size {MAX_MESSAGE}"
            )
            raise ChannelClosed(406, text)
        match link.faults.of(publication):
            case "returned":
                return Verdict.RETURNED, NO_ROUTE
            case "nacked":
                return Verdict.NACKED, "refused by the queue"
            case "lost":
                broker.publish(publication)
                link.drop("the connection was dropped by a fault of the test's")
                raise ChannelClosed(0, str(link.reason))
        return broker.publish(publication)

    def _answer(self, number: int, verdict: Verdict, text: str) -> None:
        sent = self._in_flight.pop(number, None)
        if sent is not None:
            sent.settled(verdict, text)

    def end(self, reason: ChannelClosed, *, asked: bool) -> None:
        """It ends: what has no answer by then is lost. The broker's lock is held."""
        if self._reason is None:
            self._reason = reason
            self._link.post(self._lose)

    def _lose(self) -> None:
        in_flight, self._in_flight = self._in_flight, {}
        for sent in in_flight.values():
            sent.settled(Verdict.LOST, str(self._reason))

    async def close(self) -> None:
        """Close the channel."""
        with self._link.broker.at_work():
            self._link.forget(self)
            self.end(ChannelClosed(0, "the channel was closed"), asked=True)
        if self._link.is_open:
            await self._link.turn()


def _routed(publication: Publication) -> Publication:
    """The publication as it goes to the broker: to a delay queue if it is due later."""
    headers = {key: plain(value) for key, value in publication.headers.items()}
    exchange = publication.exchange
    wait = 0.0 if publication.due is None else publication.due - time()
    if wait > 0:
        exchange, way = delays.entry(exchange, wait)
        headers.update(way)
    return replace(publication, exchange=exchange, headers=headers, due=None)


def _check(publication: Publication) -> None:
    """See that a publication could be sent to a real broker.

    Raises:
        InvalidMessage: it could not.
    """
    check_route(publication.exchange, publication.routing_key)
    size = len(encode_properties(publication, publication.headers)) + HEADER_FRAME_OVERHEAD
    check_frame(publication, size, FRAME_MAX)
