"""What comes most, read at once: a delivery (its three frames, where all have come), a confirm.

pika reads frame by frame, through some twenty calls each, and copies what is left of its buffer
after every one. What is unusual (a body of several frames, any other method) is left to it.

Source: AMQP 0-9-1 specification, 2.3.5 (frames), 1.8.3.8 (basic.deliver), and RabbitMQ's
publisher confirms (basic.ack).
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final, Literal, NamedTuple

from pika import spec

from rmqwork._transport.amqp import properties

FRAME: Final = Struct(">BHI")
CONTENT: Final = Struct(">HHQ")
"""Class, weight, and size of the body, at the beginning of a content header."""
_TAG: Final = Struct(">QB")
_ACK: Final = FRAME.pack(1, 0, 13)[3:] + spec.Basic.Ack.INDEX.to_bytes(4, "big")
_ACK_FRAME: Final = Struct(">BHIIQBB")
_METHOD, _HEADER, _BODY = 1, 2, 3
_DELIVER: Final = spec.Basic.Deliver.INDEX.to_bytes(4, "big")
_END: Final = 0xCE


class FrameParser(NamedTuple):
    """One delivery.

    Args:
        end: where in the data the next frame begins.
        channel: its number.
        method: a ``Basic.Deliver``.
        properties: of the message.
        body: of the message.
    """

    end: int
    channel: int
    method: Any
    properties: Any
    body: bytes


class Ack(NamedTuple):
    """One confirm: ``basic.ack`` from the broker.

    Args:
        end: where in the data the next frame begins.
        channel: its number.
        tag: the number of the publication on its channel.
        multiple: whether all before it are confirmed, too.
    """

    end: int
    channel: int
    tag: int
    multiple: bool


def is_delivery(data: bytes, at: int) -> bool:
    """Whether a delivery begins here; the head of a frame and four bytes more are there."""
    return data[at] == _METHOD and data[at + 7 : at + 11] == _DELIVER


def is_ack(data: bytes, at: int) -> bool:
    """Whether a confirm begins here; the head of a frame and four bytes more are there."""
    return data[at] == _METHOD and data[at + 3 : at + 11] == _ACK


def ack_at(data: bytes, at: int) -> Ack | None:
    """The confirm that begins here, where `is_ack` was true; None if it has not come whole."""
    if len(data) < at + _ACK_FRAME.size or data[at + _ACK_FRAME.size - 1] != _END:
        return None
    _, channel, _, _, tag, bits, _ = _ACK_FRAME.unpack_from(data, at)
    return Ack(at + _ACK_FRAME.size, channel, tag, bool(bits & 1))


def delivery_at(data: bytes, at: int, body_max: int) -> FrameParser | Literal[False] | None:
    """The delivery that begins here.

    Args:
        data: what was read.
        at: where `is_delivery` was true.
        body_max: bytes of a body that one frame carries.

    Returns:
        the delivery; None if the rest of it has not come yet; False if it is one for pika.
    """
    there = len(data)
    _, channel, size = FRAME.unpack_from(data, at)
    header = at + 8 + size
    if there < header + 19:
        return None
    kind, header_channel, size = FRAME.unpack_from(data, header)
    body_size = CONTENT.unpack_from(data, header + 7)[2]
    end = header + 8 + size
    if kind != _HEADER or header_channel != channel or body_size > body_max:
        return False
    body_at = end + 7
    if body_size:
        if there < body_at:
            return None
        kind, body_channel, size = FRAME.unpack_from(data, end)
        if kind != _BODY or body_channel != channel or size != body_size:
            return False
        end = body_at + size + 1
    if there < end:
        return None
    body = data[body_at : end - 1] if body_size else b""
    header_end = body_at - 8
    if data[header - 1] != _END or data[header_end] != _END or data[end - 1] != _END:
        return False
    decoded = properties.decode(data[header + 19 : header_end])
    return FrameParser(end, channel, _deliver(data, at + 11), decoded, body)


def _deliver(data: bytes, at: int) -> Any:
    """The arguments of basic.deliver: consumer tag, delivery tag, redelivered, exchange, key."""
    consumer = at + 1
    at = consumer + data[at]
    number, bits = _TAG.unpack_from(data, at)
    exchange = at + _TAG.size + 1
    key = exchange + data[exchange - 1] + 1
    return spec.Basic.Deliver(
        data[consumer:at].decode(),
        number,
        bool(bits & 1),
        data[exchange : key - 1].decode(),
        data[key : key + data[key - 1]].decode(),
    )
