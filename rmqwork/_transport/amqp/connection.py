"""pika's asyncio connection, with writes that travel together and channels that never reject.

What differs from pika's own classes:

* pika writes each frame by itself (three for a message). Here the frames of one loop turn are
  joined and sent at once.
* pika reads 4 KiB at a time, and a message frame by frame. Here 64 KiB are read, and deliveries and
  confirms at once (`frame_parser`).
* pika answers deliveries of a consumer that is being cancelled with ``basic.reject``, which counts
  against the message on RabbitMQ 4.3. Here they are delivered, and the worker hands them back.
* pika takes up to two heartbeats and 10 s to see that a broker is gone without a word. Here it is a
  heartbeat and a half (`silence`).
* pika ends the connection over a header that it cannot represent. Here `properties` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pika import channel, exceptions, frame
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.io_services_utils import _AsyncPlaintextTransport

from rmqwork._transport.amqp import frame_parser, properties
from rmqwork._transport.amqp.frame_parser import CONTENT, FRAME
from rmqwork._transport.amqp.heartbeats import Heartbeats

_HEADER_FRAME: Final = b"\x02"
_KINDS: Final = (1, 2, 3, 8)  # method, content header, body, heartbeat
_SMALLEST: Final = FRAME.size + 1
"""Bytes of a frame without a payload: its head and its end."""
_READ_SIZE: Final = 64 << 10
"""Bytes asked of a socket at once; pika asks for 4 KiB."""
OnDeliver = Callable[[Any, Any, bytes], None]
OnConfirmed = Callable[[int, bool], None]


class Channel(channel.Channel):
    """A channel that gives every delivery to its consumer, and says when a queue is empty."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.consumers: dict[str, OnDeliver] = {}
        self.confirmed: OnConfirmed | None = None

    @property
    def is_assembling(self) -> bool:
        """Whether a part of a message has come by pika's way, and the rest not yet."""
        return self._content_assembler._method_frame is not None

    def deliver(self, method: Any, properties: Any, body: bytes) -> None:
        """Give a delivery to its consumer."""
        consumer = self.consumers.get(method.consumer_tag)
        if consumer is not None:
            consumer(method, properties, body)

    def _on_deliver(self, method_frame: Any, header_frame: Any, body: bytes) -> None:
        self.deliver(method_frame.method, header_frame.properties, body)

    def _on_getempty(self, method_frame: Any) -> None:
        callback = self._on_getok_callback
        self._on_getok_callback: Any = None
        if callback is not None:
            callback(self, None, None, b"")


class Connection(AsyncioConnection):
    """A connection whose frames of one loop turn leave in one ``send``."""

    _out: list[bytes]
    _frame_buffer: bytes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._out = []
        self.held = False
        """Whether somebody will `flush` within this turn."""
        super().__init__(*args, **kwargs)

    def _create_heartbeat_checker(self) -> Heartbeats | None:
        seconds = self.params.heartbeat
        return Heartbeats(self, seconds) if seconds else None

    def _create_channel(self, channel_number: int, on_open_callback: Any) -> Channel:
        return Channel(self, channel_number, on_open_callback)

    def _proto_connection_made(self, transport: Any) -> None:
        transport._MAX_RECV_BYTES = _READ_SIZE
        if type(transport) is _AsyncPlaintextTransport:
            # Once a turn, and not until nothing is left, which is an exception each time. (TLS may
            # keep what it has read, and nothing would wake us for it.)
            transport._MAX_CONSUME_BYTES = 1
        super()._proto_connection_made(transport)

    def _on_data_available(self, data_in: bytes) -> None:
        data = self._frame_buffer + data_in if self._frame_buffer else data_in
        at, there = 0, len(data)
        while there - at >= _SMALLEST:
            if frame_parser.is_delivery(data, at):
                delivery = frame_parser.delivery_at(data, at, self._body_max_length)
                if delivery is None:
                    break
                if delivery and self._deliver(delivery):
                    self.bytes_received += delivery.end - at
                    at = delivery.end
                    continue
            elif frame_parser.is_ack(data, at):
                ack = frame_parser.ack_at(data, at)
                if ack is not None and self._confirm(ack):
                    self.bytes_received += ack.end - at
                    at = ack.end
                    continue
            kind, _, size = FRAME.unpack_from(data, at)
            if kind not in _KINDS:  # no frame: the broker speaks another protocol
                self._frame_buffer = data[at:]
                super()._on_data_available(b"")
                return
            end = at + size + _SMALLEST
            if there < end:
                break
            self._frame_buffer = data[at:end]  # nothing behind the frame, which pika would copy
            super()._on_data_available(b"")
            at = end
        self._frame_buffer = data[at:]

    def _deliver(self, delivery: frame_parser.FrameParser) -> bool:
        """Give a delivery to its channel; false if that is in the middle of another one."""
        channel = self._channels.get(delivery.channel)
        if not isinstance(channel, Channel) or channel.is_assembling:
            return False
        self.frames_received += 3 if delivery.body else 2
        channel.deliver(delivery.method, delivery.properties, delivery.body)
        return True

    def _confirm(self, ack: frame_parser.Ack) -> bool:
        """Give a confirm to its channel; false if that one leaves them to pika."""
        channel = self._channels.get(ack.channel)
        if not isinstance(channel, Channel) or channel.confirmed is None:
            return False
        self.frames_received += 1
        channel.confirmed(ack.tag, ack.multiple)
        return True

    def _read_frame(self) -> tuple[int, Any]:
        data = self._frame_buffer
        if data[:1] != _HEADER_FRAME:
            consumed, value = super()._read_frame()
            return consumed, value
        if len(data) < FRAME.size:
            return 0, None
        _, number, size = FRAME.unpack_from(data)
        end = FRAME.size + size
        if len(data) <= end:
            return 0, None
        if data[end : end + 1] != b"\xce":
            raise exceptions.InvalidFrameError("Invalid FRAME_END marker")
        _, _, body_size = CONTENT.unpack_from(data, FRAME.size)
        decoded = properties.decode(data[FRAME.size + CONTENT.size : end])
        return end + 1, frame.Header(number, body_size, decoded)

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        self.send_frames(marshaled_frames)

    def send_frames(self, frames: Sequence[bytes]) -> None:
        """Send encoded frames with the others of this loop turn, in order."""
        if not (self._out or self.held):
            self._nbio.get_native_ioloop().call_soon(self.flush)
        self._out += frames
        self.frames_sent += len(frames)

    def flush(self) -> None:
        """Send all frames that wait for the end of the loop's turn."""
        self.held = False
        frames, self._out = self._out, []
        transport = self._transport
        if transport is None or not frames:
            return
        data = b"".join(frames)
        self.bytes_sent += len(data)
        if type(transport) is _AsyncPlaintextTransport and not transport.get_write_buffer_size():
            try:
                sent = transport._sock.send(data)
            except OSError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        transport.write(data)

    def _on_stream_terminated(self, error: Exception | None) -> None:
        if error is None and self._error is None:  # pika asserts that it knows a reason
            error = exceptions.StreamLostError("given up while it was being opened")
        super()._on_stream_terminated(error)


def body_frames(channel_number: int, body: bytes, max_length: int) -> list[bytes]:
    """The body frames of one message."""
    head = channel_number.to_bytes(2, "big")
    return [
        b"".join((b"\x03", head, len(part).to_bytes(4, "big"), part, b"\xce"))
        for part in (body[at : at + max_length] for at in range(0, len(body), max_length))
    ]


def method_frame(channel_number: int, method: Any) -> bytes:
    """One method frame."""
    payload = b"".join((method.INDEX.to_bytes(4, "big"), *method.encode()))
    return _frame(b"\x01", channel_number, payload)


def header_frame(channel_number: int, encoded: bytes, size: int) -> bytes:
    """The content header frame of one message.

    Args:
        encoded: its properties, from `properties.encode`.
        size: bytes of its body.
    """
    return _frame(_HEADER_FRAME, channel_number, CONTENT.pack(60, 0, size) + encoded)


def _frame(kind: bytes, channel_number: int, payload: bytes) -> bytes:
    head = channel_number.to_bytes(2, "big") + len(payload).to_bytes(4, "big")
    return b"".join((kind, head, payload, b"\xce"))
