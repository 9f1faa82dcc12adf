"""Encode frames to send.

Source: AMQP 0-9-1 specification, 2.3.5 (frames) and 4.2.6.1 (content headers).
"""

from __future__ import annotations

from typing import Any

from rmqwork._transport.amqp.frame_parser import CONTENT


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
    return _frame(b"\x02", channel_number, CONTENT.pack(60, 0, size) + encoded)


def _frame(kind: bytes, channel_number: int, payload: bytes) -> bytes:
    head = channel_number.to_bytes(2, "big") + len(payload).to_bytes(4, "big")
    return b"".join((kind, head, payload, b"\xce"))
