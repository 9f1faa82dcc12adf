"""A channel in confirm mode."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from time import time
from typing import Any, Final, NamedTuple

from pika import spec

from rmqwork._topology import delays
from rmqwork._transport.amqp.frame_templates import FrameTemplates
from rmqwork._transport.amqp.frames import body_frames, header_frame, method_frame
from rmqwork._transport.amqp.pika_internals import Connection
from rmqwork._transport.amqp.rpc import Rpc, closed_of
from rmqwork._transport.port import ChannelClosed, Settled
from rmqwork._transport.properties import check_frame, check_route, encode_properties
from rmqwork.types import Publication, Verdict

_TOO_LARGE: Final = re.compile(r"message size \d+ is larger than configured max size (\d+)")
_NO_EXCHANGE: Final = re.compile(r"no exchange '([^']*)'")
_NO_ACCESS: Final = re.compile(r"access to (?:topic '[^']*' in )?exchange '([^']*)'")
_NO_TOPIC: Final = re.compile(r"access to topic '([^']*)'")
_DEFAULT_EXCHANGE: Final = "amq.default"
_ROUTES_KEPT: Final = 4096


class _InFlight(NamedTuple):
    """What was sent, by which exchange (a delay's, maybe), and has no answer yet."""

    publication: Publication
    exchange: str
    settled: Settled


class AmqpPublishChannel:
    """Publishes, mandatory and persistent, and tells what became of each publication."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rpc: Rpc
        self._next = 1
        self._in_flight: dict[int, _InFlight] = {}
        self._returned: dict[int, str] = {}
        self._methods: dict[tuple[str, str], bytes] = {}
        self._templates: FrameTemplates
        self._body_max = 0

    @classmethod
    async def open(cls, connection: Connection) -> AmqpPublishChannel:
        """Open a channel and put it in confirm mode."""
        self = cls(connection)
        self._rpc = await Rpc.open(connection, lambda _: None)
        self._rpc.channel.add_on_close_callback(self._on_closed)
        self._rpc.channel.add_on_return_callback(self._on_return)
        await self._rpc.call(self._rpc.channel.confirm_delivery, self._on_settled)
        self._rpc.channel.confirmed = self._on_confirmed
        number = self._rpc.channel.channel_number
        self._body_max = connection.body_max
        self._templates = FrameTemplates(number, self._body_max)
        return self

    @property
    def is_open(self) -> bool:
        """Whether publications can be given to it."""
        return self._rpc.is_open

    def publish(self, publication: Publication, settled: Settled) -> None:
        """Send a publication; see the port."""
        if not self._rpc.is_open:
            settled(Verdict.LOST, str(self._rpc.reason or "the channel is closed"))
            return
        exchange, routing_key = publication.exchange, publication.routing_key
        headers = publication.headers
        if publication.due is not None:
            wait = publication.due - time()
            if wait > 0:
                exchange, way = delays.entry(exchange, wait)
                headers = {**headers, **way}
        self._connection.send_frames(self._frames(publication, exchange, routing_key, headers))
        self._in_flight[self._next] = _InFlight(publication, exchange, settled)
        self._next += 1

    def hold(self) -> None:
        """Send with the next `flush`; see the port."""
        self._connection.held = True

    def flush(self) -> None:
        """Send at once; see the port."""
        self._connection.flush()

    def _frames(
        self, publication: Publication, exchange: str, routing_key: str, headers: Any
    ) -> list[bytes]:
        number = self._rpc.channel.channel_number
        if headers is publication.headers:  # it is not delayed
            filled = self._templates.fill(
                publication,
                lambda place: (
                    self._method(number, exchange, routing_key),
                    self._header(number, replace(publication, message_id=place, body=b""), headers),
                ),
            )
            if filled is not None:
                return [filled]
        frames = [
            self._method(number, exchange, routing_key),
            self._header(number, publication, headers),
        ]
        if publication.body:
            frames += body_frames(number, publication.body, self._body_max)
        return frames

    def _method(self, number: int, exchange: str, routing_key: str) -> bytes:
        known = self._methods.get((exchange, routing_key))
        if known is None:
            if len(self._methods) >= _ROUTES_KEPT:
                self._methods.clear()
            check_route(exchange, routing_key)
            method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
            known = method_frame(number, method)
            self._methods[exchange, routing_key] = known
        return known

    def _header(self, number: int, publication: Publication, headers: Any) -> bytes:
        encoded = encode_properties(publication, headers)
        frame = header_frame(number, encoded, len(publication.body))
        check_frame(publication, len(frame), self._connection.params.frame_max)
        return frame

    def _on_return(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        """Note what is returned; its confirm follows. One id may be under way more than once."""
        route = (properties.message_id, method.exchange, method.routing_key)
        for number, sent in self._in_flight.items():
            publication = sent.publication
            this = (publication.message_id, sent.exchange, publication.routing_key)
            if this == route and number not in self._returned:
                self._returned[number] = f"{method.reply_text} ({method.reply_code})"
                return

    def _on_settled(self, frame: Any) -> None:
        method = frame.method
        verdict = Verdict.CONFIRMED if isinstance(method, spec.Basic.Ack) else Verdict.NACKED
        self._settle_up_to(method.delivery_tag, method.multiple, verdict)

    def _on_confirmed(self, tag: int, multiple: bool) -> None:
        self._settle_up_to(tag, multiple, Verdict.CONFIRMED)

    def _settle_up_to(self, tag: int, multiple: bool, verdict: Verdict) -> None:
        if not multiple:
            self._settle(tag, verdict)
            return
        for number in list(self._in_flight):
            if number > tag:
                break
            self._settle(number, verdict)

    def _settle(self, number: int, verdict: Verdict) -> None:
        settled = self._in_flight.pop(number).settled
        text = self._returned.pop(number, "") if self._returned else ""
        if text and verdict is Verdict.CONFIRMED:
            verdict = Verdict.RETURNED
        settled(verdict, text or ("refused by the queue" if verdict is Verdict.NACKED else ""))

    def _on_closed(self, _channel: Any, reason: Exception) -> None:
        closed = closed_of(reason)
        blame = _blame(closed)
        in_flight, self._in_flight = self._in_flight, {}
        for sent in in_flight.values():
            sent.settled(blame(sent), closed.text)

    async def close(self) -> None:
        """Close the channel."""
        await self._rpc.close()


def _blame(reason: ChannelClosed) -> Callable[[_InFlight], Verdict]:
    """Which of the publications in flight the broker closed the channel for, and how."""
    if match := _TOO_LARGE.search(reason.text):
        most = int(match[1])
        return _if(Verdict.REFUSED, lambda sent: len(sent.publication.body) > most)
    if match := _NO_EXCHANGE.search(reason.text):
        missing = match[1]
        return _if(Verdict.RETURNED, lambda sent: sent.exchange == missing)
    if match := _NO_ACCESS.search(reason.text):
        refused = "" if match[1] == _DEFAULT_EXCHANGE else match[1]
        topic = _NO_TOPIC.search(reason.text)
        key = topic[1] if topic else None
        return _if(
            Verdict.REFUSED,
            lambda sent: (
                sent.exchange == refused and (key is None or sent.publication.routing_key == key)
            ),
        )
    return lambda _: Verdict.LOST


def _if(verdict: Verdict, guilty: Callable[[_InFlight], bool]) -> Callable[[_InFlight], Verdict]:
    return lambda sent: verdict if guilty(sent) else Verdict.LOST
