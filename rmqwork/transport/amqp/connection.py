"""pika's asyncio connection, with writes that travel together and channels that never reject.

Three things differ from pika's own classes:

* pika writes each frame by itself (three for a message). Here the frames of one loop turn are
  joined and sent at once.
* pika answers deliveries of a consumer that is being cancelled with ``basic.reject``, which counts
  against the message on RabbitMQ 4.3. Here they are delivered, and the worker hands them back.
* pika ends the connection over a header that it cannot represent. Here `properties` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final

from pika import channel, exceptions, frame
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.io_services_utils import _AsyncPlaintextTransport

from rmqwork.transport.amqp import properties

_HEADER_FRAME: Final = b"\x02"
_FRAME: Final = Struct(">BHI")
_CONTENT: Final = Struct(">HHQ")
OnDeliver = Callable[[Any, Any, bytes], None]


class Channel(channel.Channel):
    """A channel that gives every delivery to its consumer, and says when a queue is empty."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.consumers: dict[str, OnDeliver] = {}

    def _on_deliver(self, method_frame: Any, header_frame: Any, body: bytes) -> None:
        method = method_frame.method
        consumer = self.consumers.get(method.consumer_tag)
        if consumer is not None:
            consumer(method, header_frame.properties, body)

    def _on_getempty(self, method_frame: Any) -> None:
        callback = self._on_getok_callback
        self._on_getok_callback: Any = None
        if callback is not None:
            callback(self, None, None, b"")


class Connection(AsyncioConnection):
    """A connection whose frames of one loop turn leave in one ``send``."""

    _out: list[bytes]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._out = []
        super().__init__(*args, **kwargs)

    def _create_channel(self, channel_number: int, on_open_callback: Any) -> Channel:
        return Channel(self, channel_number, on_open_callback)

    def _read_frame(self) -> tuple[int, Any]:
        data = self._frame_buffer
        if data[:1] != _HEADER_FRAME:
            consumed, value = super()._read_frame()
            return consumed, value
        if len(data) < _FRAME.size:
            return 0, None
        _, number, size = _FRAME.unpack_from(data)
        end = _FRAME.size + size
        if len(data) <= end:
            return 0, None
        if data[end : end + 1] != b"\xce":
            raise exceptions.InvalidFrameError("Invalid FRAME_END marker")
        _, _, body_size = _CONTENT.unpack_from(data, _FRAME.size)
        decoded = properties.decode(data[_FRAME.size + _CONTENT.size : end])
        return end + 1, frame.Header(number, body_size, decoded)

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        self.send_frames(marshaled_frames)

    def send_frames(self, frames: Sequence[bytes]) -> None:
        """Send encoded frames with the others of this loop turn, in order."""
        if not self._out:
            self._nbio.get_native_ioloop().call_soon(self._flush)
        self._out += frames
        self.frames_sent += len(frames)

    def _flush(self) -> None:
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

    def unsent(self) -> int:
        """Bytes that wait to be written to the socket."""
        queued = sum(map(len, self._out))
        return queued + (self._transport.get_write_buffer_size() if self._transport else 0)


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
    return _frame(_HEADER_FRAME, channel_number, _CONTENT.pack(60, 0, size) + encoded)


def _frame(kind: bytes, channel_number: int, payload: bytes) -> bytes:
    head = channel_number.to_bytes(2, "big") + len(payload).to_bytes(4, "big")
    return b"".join((kind, head, payload, b"\xce"))
