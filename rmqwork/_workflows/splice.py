"""Cut and join JSON texts without reading what is passed on.

A chain of 1,000 steps would otherwise be parsed and written 1,000 times. **Frames** are the items
of a JSON array as one text without its brackets; no items are an empty text. Many of them are
**packed**: ``{"packed":…}`` is a frame that stands for others (zlib, base64), which is a tenth of
the bytes for the nodes of a long chain, and is opened when its turn comes.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

_decoder: Final = json.JSONDecoder()
_encoder: Final = json.JSONEncoder(separators=(",", ":"))


def dump(value: object) -> str:
    """A value as JSON: ASCII, without spaces."""
    return _encoder.encode(value)


MAX_UNPACKED: Final = 16 << 20
"""Bytes that packed frames come to at most, unless a limit is given."""
MAX_FRAMES: Final = 100_000
_BLOCK: Final = 32


def packed_frames_of(items: Sequence[object]) -> str:
    """Items as frames; what comes after the first ones of many is packed."""
    if len(items) <= 2 * _BLOCK:
        return frames_of(items)
    blocks = [items[at : at + _BLOCK] for at in range(_BLOCK, len(items), _BLOCK)]
    packed = ",".join(_packed(frames_of(block)) for block in blocks)
    return before(frames_of(items[:_BLOCK]), packed)


def _packed(frames: str) -> str:
    """A frame that stands for others; those that nobody would open stay as they are."""
    if len(frames) > MAX_UNPACKED:
        return frames
    return dump({"packed": base64.b64encode(zlib.compress(frames.encode())).decode()})


def _unpack(packed: object, limit: int) -> str:
    if type(packed) is not str:
        raise ValueError("packed frames are no text")
    try:
        opener = zlib.decompressobj()
        opened = opener.decompress(base64.b64decode(packed), limit)
        if opener.unconsumed_tail:
            raise ValueError(f"packed frames come to more than {limit:,} bytes")
    except zlib.error as error:
        raise ValueError(f"packed frames cannot be opened: {error}") from error
    return opened.decode()


def frames_of(items: Iterable[object]) -> str:
    """Items as frames."""
    return dump(list(items))[1:-1]


def first(frames: str, limit: int = MAX_UNPACKED) -> tuple[Any, str]:
    """The first frame, and the text of the others.

    Args:
        frames: the text.
        limit: bytes that packed frames may come to.

    Raises:
        ValueError: the text is not one of frames.
    """
    packed = False
    while True:
        value, end = _decoder.raw_decode(frames)
        rest = frames[end + 1 :]
        if end < len(frames) and frames[end] != ",":
            raise ValueError(f"a comma is missing at character {end}")
        if type(value) is not dict or "packed" not in value:
            return value, rest
        if packed:
            raise ValueError("packed frames begin with packed frames")
        packed = True
        frames = before(_unpack(value["packed"], limit), rest)


def before(items: str, frames: str) -> str:
    """Frames with others after them."""
    return f"{items},{frames}" if items and frames else items or frames


def items_of(frames: str, limit: int = MAX_UNPACKED) -> list[Any]:
    """All frames, read.

    Args:
        frames: the text.
        limit: bytes that all packed frames in it may come to.

    Raises:
        ValueError: the text is not one of frames, or there are too many.
    """
    found: list[Any] = []
    for item in json.loads(f"[{frames}]"):
        if type(item) is dict and "packed" in item:
            opened = _unpack(item["packed"], limit)
            limit -= len(opened)
            found += json.loads(f"[{opened}]")
        else:
            found.append(item)
        if len(found) > MAX_FRAMES:
            raise ValueError(f"more than {MAX_FRAMES:,} frames")
    return found


def with_argument(body: dict[str, Any], name: str, value: bytes) -> bytes:
    """The JSON of an object with one member more, whose value is JSON already.

    Args:
        body: the other members.
        name: of the member; the empty string: the value is the whole text.
        value: its JSON.
    """
    if not name:
        return value
    rest = dump({key: item for key, item in body.items() if key != name})[1:].encode()
    comma = b"" if rest == b"}" else b","
    return b"".join((b"{", dump(name).encode(), b":", value, comma, rest))


def array(values: Sequence[bytes]) -> bytes:
    """A JSON array of values that are JSON already."""
    return b"[" + b",".join(values) + b"]"


class RawTail:
    """An object's members up to one that is last in the text, and the raw text of that one.

    Args:
        text: the JSON of an object.
        last: the name of the member.

    Raises:
        ValueError: it is no JSON object.
    """

    __slots__ = ("members", "raw")

    def __init__(self, text: str, last: str) -> None:
        if text[:1] != "{" or text[-1:] != "}":
            raise ValueError("it is no JSON object")
        found = _cut(text, f'"{last}":')
        if found is not None:
            self.members, self.raw = found
        else:  # somebody has edited it: read all, and write the member anew
            self.members = json.loads(text)
            self.raw = dump(self.members.pop(last, None))


def _cut(text: str, last: str) -> tuple[dict[str, Any], str] | None:
    """See `RawTail`; None where the text is not as `dump` would write it."""
    members: dict[str, Any] = {}
    at = 1
    while not text.startswith(last, at):
        end = text.find(":", at)
        name = text[at:end]
        if not (name[:1] == '"' == name[-1:] and name[1:-1].replace("_", "").isalnum()):
            return None
        try:
            members[name[1:-1]], at = _decoder.raw_decode(text, end + 1)
        except ValueError:
            return None
        if text[at : at + 1] != ",":
            return None
        at += 1
    return members, text[at + len(last) : -1]
