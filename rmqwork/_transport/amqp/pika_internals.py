"""pika's connection, changed by its private names, all of which are in this module.

pika promises nothing about them, so the requirement allows no newer minor version, and
`tests/unit/transport/test_pika_internals.py` says which of `PRIVATE_NAMES` the installed one lacks.
They stand in subclasses, and not behind functions: what is called for each message costs no more.

What differs from pika's own classes:

* pika writes each frame by itself (three for a message). Here the frames of one loop turn are
  joined and sent at once.
* pika reads 4 KiB at a time, and a message frame by frame. Here 64 KiB are read, and deliveries and
  confirms at once (`frame_parser`).
* pika answers deliveries of a consumer that is being cancelled with ``basic.reject``, which counts
  against the message on RabbitMQ 4.3. Here they are delivered, and the worker hands them back.
* pika looks names up in a thread; here it may be without one (`dns`).
* pika takes up to two heartbeats and 10 s to see that a broker is gone without a word. Here it is a
  heartbeat and a half (`heartbeats`).
* pika ends the connection over a header that it cannot represent. Here `properties` reads them.
"""

# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
# It does not know private names of pika, nor the types that pika's comments give.

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from pika import channel, exceptions, frame
from pika.adapters.asyncio_connection import AsyncioConnection, _AsyncioIOServicesAdapter
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflow
from pika.adapters.utils.io_services_utils import _AsyncPlaintextTransport
from pika.channel import ContentFrameAssembler
from pika.heartbeat import HeartbeatChecker

from rmqwork._transport.amqp import frame_parser, heartbeats, properties
from rmqwork._transport.amqp.dns import lookup
from rmqwork._transport.amqp.frame_parser import CONTENT, FRAME

PRIVATE_NAMES: Final[Mapping[type, tuple[str, ...]]] = {
    AsyncioConnection: (
        "_body_max_length",
        "_channels",
        "_connection_workflow",
        "_create_channel",
        "_create_heartbeat_checker",
        "_error",
        "_frame_buffer",
        "_nbio",
        "_on_data_available",
        "_on_stream_terminated",
        "_output_marshaled_frames",
        "_proto_connection_made",
        "_read_frame",
        "_transport",
    ),
    channel.Channel: (
        "_content_assembler",
        "_on_deliver",
        "_on_getempty",
        "_on_getok_callback",
    ),
    ContentFrameAssembler: ("_method_frame",),
    AMQPConnectionWorkflow: ("_connector",),
    HeartbeatChecker: (
        "_check_interval",
        "_idle_byte_intervals",
        "_start_check_timer",
        "_timeout",
    ),
    _AsyncPlaintextTransport: ("_MAX_CONSUME_BYTES", "_MAX_RECV_BYTES", "_sock"),
    _AsyncioIOServicesAdapter: ("_schedule_and_wrap_in_io_ref",),
}
"""All of pika's private names that rmqwork uses, by the class that has them."""

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


class Heartbeats(HeartbeatChecker):
    """Sends heartbeats as pika does, and looks oftener whether any came; see `heartbeats`."""

    @property
    def connection_is_idle(self) -> bool:
        """Whether the broker has been silent for too long."""
        return bool(self._idle_byte_intervals >= heartbeats.LOOKS)

    def _start_check_timer(self) -> None:
        self._check_interval = heartbeats.check_interval(self._timeout)
        super()._start_check_timer()


class IOServices(_AsyncioIOServicesAdapter):
    """pika's way to the event loop, with names looked up by `dns.lookup`."""

    def getaddrinfo(
        self,
        host: str,
        port: int,
        on_done: Callable[..., None],
        family: int = 0,
        socktype: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look up a name; see pika's."""
        return self._schedule_and_wrap_in_io_ref(
            lookup((host, port, family, socktype, proto), flags), on_done
        )


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

    @property
    def body_max(self) -> int:
        """Bytes of a body that one frame carries."""
        return int(self._body_max_length)

    @property
    def is_resolving(self) -> bool:
        """Whether it is being opened, and the broker's name is still being looked up."""
        workflow = self._connection_workflow
        return workflow is not None and workflow._connector is None and self._transport is None

    def abort(self) -> None:
        """Close the socket without a word to the broker, or end the attempt to open one."""
        if self._transport is not None:
            self._transport.abort()
        elif self._connection_workflow is not None:
            with suppress(exceptions.AMQPError):  # it has come to its end just now
                self._connection_workflow.abort()

    def close_descriptor(self) -> None:
        """In a forked child: close our copy of the socket's descriptor, and nothing else."""
        if self._transport is not None:
            with suppress(OSError):
                os.close(self._transport._sock.fileno())

    def _on_stream_terminated(self, error: Exception | None) -> None:
        if error is None and self._error is None:  # pika asserts that it knows a reason
            error = exceptions.StreamLostError("given up while it was being opened")
        super()._on_stream_terminated(error)
