"""The frames of messages that are alike but for id and body: encoded once, filled in after that.

What is encoded is what the plain way encodes (`test_frame_templates.py` compares the bytes); this
only knows where in it the id, the size and the body go.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

from rmqwork.types import Publication

_BODY_SIZE: Final = Struct(">Q")
_FRAME_SIZE: Final = Struct(">I")
_SIZE_AT: Final = 11
"""Where a content header frame has the size of the body: after its own head, class and weight."""
_ID_LENGTH: Final = 36
_PLACE: Final = "\x01" * _ID_LENGTH
_KEPT: Final = 4096
_MAX_SIZE: Final = 16 << 10
"""Bytes of a body; the plain way copies larger ones less often."""

Frames = Callable[[str], tuple[bytes, bytes]]
"""Encodes a message of this id and no body: its method frame and its header frame."""
Key = tuple[object, ...]


class _FrameTemplate(NamedTuple):
    """All bytes of a message but three: ``head SIZE before ID after SIZE BODY end``."""

    head: bytes
    before: bytes
    after: bytes


class FrameTemplates:
    """The frame templates of one channel.

    Args:
        channel_number: of the channel.
        body_max: bytes of a body that one frame carries.
    """

    def __init__(self, channel_number: int, body_max: int) -> None:
        self._body_head = b"\x03" + channel_number.to_bytes(2, "big")
        self._most = min(body_max, _MAX_SIZE)
        self._known: dict[Key, _FrameTemplate | None] = {}

    def fill(self, publication: Publication, frames: Frames) -> bytes | None:
        """A message's frames, joined; None = it is unusual, and goes the plain way.

        Args:
            publication: to be sent now: its delay, if it has one, is not looked at.
            frames: encodes it, for its mould; what it raises is raised.
        """
        body, size = publication.body, len(publication.body)
        if publication.headers or publication.correlation_id is not None:
            return None
        if not 0 < size <= self._most:
            return None
        place = publication.message_id.encode("utf-8", "replace")
        if len(place) != _ID_LENGTH:
            return None
        key = (
            publication.routing_key,
            publication.exchange,
            publication.type,
            publication.timestamp,
            publication.priority,
            publication.app_id,
            publication.content_type,
            publication.content_encoding,
            publication.reply_to,
        )
        mould = self._known.get(key)
        if mould is None and key not in self._known:
            mould = self._make(key, frames)
        if mould is None:
            return None
        head, before, after = mould
        size_8, size_4 = _BODY_SIZE.pack(size), _FRAME_SIZE.pack(size)
        return b"".join((head, size_8, before, place, after, size_4, body, b"\xce"))

    def _make(self, key: Key, frames: Frames) -> _FrameTemplate | None:
        method, header = frames(_PLACE)
        if len(self._known) >= _KEPT:
            self._known.clear()
        place = _PLACE.encode()
        before, found, after = header[_SIZE_AT + 8 :].partition(place)
        mould = None
        if found and place not in after:  # else a property holds the same text as the place
            mould = _FrameTemplate(method + header[:_SIZE_AT], before, after + self._body_head)
        self._known[key] = mould
        return mould
