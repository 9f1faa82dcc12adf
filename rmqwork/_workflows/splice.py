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


_BLOCK: Final = 32
_UNPACKED_MOST: Final = 64 << 20


def packed_frames_of(items: Sequence[object]) -> str:
    """Items as frames; what comes after the first ones of many is packed."""
    if len(items) <= 2 * _BLOCK:
        return frames_of(items)
    blocks = [items[at : at + _BLOCK] for at in range(_BLOCK, len(items), _BLOCK)]
    return frames_of([*items[:_BLOCK], *({"packed": _pack(frames_of(one))} for one in blocks)])


def _pack(frames: str) -> str:
    return base64.b64encode(zlib.compress(frames.encode())).decode()


def _unpack(packed: str) -> str:
    try:
        opened = zlib.decompressobj().decompress(base64.b64decode(packed), _UNPACKED_MOST)
    except zlib.error as error:
        raise ValueError(f"packed frames cannot be opened: {error}") from error
    return opened.decode()


def frames_of(items: Iterable[object]) -> str:
    """Items as frames."""
    return dump(list(items))[1:-1]


def first(frames: str) -> tuple[Any, str]:
    """The first frame, and the text of the others.

    Raises:
        ValueError: the text is not one of frames.
    """
    while True:
        value, end = _decoder.raw_decode(frames)
        rest = frames[end + 1 :]
        if end < len(frames) and frames[end] != ",":
            raise ValueError(f"a comma is missing at character {end}")
        if type(value) is not dict or "packed" not in value:
            return value, rest
        frames = before(_unpack(value["packed"]), rest)


def before(items: str, frames: str) -> str:
    """Frames with others after them."""
    return f"{items},{frames}" if items and frames else items or frames


def items_of(frames: str) -> list[Any]:
    """All frames, read."""
    items = json.loads(f"[{frames}]")
    found: list[Any] = []
    for item in items:
        if type(item) is dict and "packed" in item:
            found += items_of(_unpack(item["packed"]))
        else:
            found.append(item)
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
