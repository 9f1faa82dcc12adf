"""What comes in, in whatever pieces: the same as pika makes of it, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import exceptions, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.callback import CallbackManager
from pika.channel import ContentFrameAssembler

from rmqwork._transport.amqp.frames import body_frames, header_frame, method_frame
from rmqwork._transport.amqp.pika_internals import Channel, Connection
from rmqwork._transport.properties import encode

BODY_MAX = 50
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"


class FrameParserHarness:
    """A connection that is only its reading half, with two channels; notes what arrives."""

    def __init__(self, by_pika: bool) -> None:
        self.seen: list[Any] = []
        connection = self.connection = Connection.__new__(Connection)
        connection._frame_buffer = b""
        connection._body_max_length = BODY_MAX
        connection.frames_received = connection.bytes_received = 0
        connection.callbacks = CallbackManager()
        connection._heartbeat_checker = self
        connection._channels = {number: self._channel(number) for number in (1, 2)}
        kind = AsyncioConnection if by_pika else Connection
        self._feed = kind._on_data_available.__get__(connection)

    def received(self) -> None:
        """A heartbeat; the connection asks its checker to note it."""
        self.seen.append("heartbeat")

    def _channel(self, number: int) -> Channel:
        channel = Channel.__new__(Channel)
        channel._content_assembler = ContentFrameAssembler()
        channel.channel_number = number
        channel.consumers = {
            tag: lambda method, properties, body, tag=tag: self.seen.append(
                (number, tag, vars(method), vars(properties), body)
            )
            for tag in ("a", "ü")
        }
        confirmed = self._confirmed(number)
        self.connection.callbacks.add(
            number,
            spec.Basic.Ack,
            lambda frame: confirmed(frame.method.delivery_tag, frame.method.multiple),
            one_shot=False,
        )
        # The second channel leaves its confirms to pika, as one that does not publish does.
        channel.confirmed = confirmed if number == 1 else None
        return channel

    def _confirmed(self, number: int) -> Callable[[int, bool], None]:
        return lambda tag, multiple: self.seen.append((number, "ack", tag, multiple))

    def feed(self, data: bytes, cuts: list[int]) -> None:
        at = 0
        for cut in sorted(cut % (len(data) + 1) for cut in cuts):
            self._feed(data[at:cut])
            at = cut
        self._feed(data[at:])

    @property
    def counts(self) -> tuple[int, int]:
        return self.connection.frames_received, self.connection.bytes_received


def message(
    channel: int, tag: str, number: int, again: bool, key: str, body: bytes, task: str | None
) -> bytes:
    method = method_frame(channel, spec.Basic.Deliver(tag, number, again, "x", key))
    encoded = encode(headers={}, priority=None, timestamp=None, type=task)
    frames = [method, header_frame(channel, encoded, len(body))]
    return b"".join(frames + body_frames(channel, body, BODY_MAX))


messages = st.builds(
    message,
    st.integers(1, 2),
    st.sampled_from(["a", "ü", "unknown"]),
    st.integers(0, 2**63),
    st.booleans(),
    st.text(max_size=5),
    st.binary(max_size=120),
    st.none() | st.text(max_size=5),
)
confirms = st.builds(
    lambda channel, tag, multiple: method_frame(channel, spec.Basic.Ack(tag, multiple)),
    st.integers(1, 2),
    st.integers(0, 2**63),
    st.booleans(),
)
streams = st.lists(messages | confirms | st.just(HEARTBEAT), max_size=6).map(b"".join)


@given(streams, st.lists(st.integers(0, 10_000), max_size=8))
def test_it_comes_out_as_by_pika(data: bytes, cuts: list[int]):
    plain, ours = FrameParserHarness(by_pika=True), FrameParserHarness(by_pika=False)

    plain.feed(data, [])
    ours.feed(data, cuts)

    assert ours.seen == plain.seen
    assert ours.counts == plain.counts
    assert ours.connection._frame_buffer == b""


def test_a_heartbeat_by_itself_is_not_kept_waiting():
    ours = FrameParserHarness(by_pika=False)

    ours.feed(HEARTBEAT, [])

    assert ours.seen == ["heartbeat"]


@pytest.mark.parametrize("at", ["method", "header", "body"])
def test_a_frame_that_does_not_end_as_it_should_is_an_error(at: str):
    data = bytearray(message(1, "a", 1, False, "q", b"body", None))
    ends = [index for index, byte in enumerate(data) if byte == 0xCE]
    data[ends[["method", "header", "body"].index(at)]] = 0

    with pytest.raises(exceptions.InvalidFrameError):
        FrameParserHarness(by_pika=False).feed(bytes(data), [])


def test_a_confirm_that_does_not_end_as_it_should_is_an_error():
    data = method_frame(1, spec.Basic.Ack(1, False))[:-1] + b"\0"

    with pytest.raises(exceptions.InvalidFrameError):
        FrameParserHarness(by_pika=False).feed(data, [])


def test_the_head_of_another_protocol_goes_to_pika():
    ours = FrameParserHarness(by_pika=False)

    ours.feed(b"AMQP\x00\x00\x09\x01", [])

    assert ours.connection._frame_buffer == b""
