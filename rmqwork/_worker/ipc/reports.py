"""Reports: what an executor says to the worker process, which takes nothing of it on trust.

Tasks share a process with the code that reports, so whatever they break may arrive here. A frame is
a 4-byte big-endian length and a MessagePack array of arrays: unlike `marshal`, its decoder cannot
be crashed by its input. Each report has one of the shapes of
`rmqwork._worker.ipc.report_shapes`, or it is a `ReportViolation`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, Final

import msgpack
from msgpack import unpackb

from rmqwork._worker.ipc.report_shapes import (
    MAX_DEPTH,
    SCALARS,
    is_plain_success,
    is_publication,
    is_right,
)
from rmqwork._worker.ipc.wire import publication_tuple
from rmqwork.types import Publication

Report = tuple[Any, ...]

DEFAULT_MAX_FRAME: Final = 144 << 20
"""Bytes of a frame at most, where nothing is known of the app's largest message."""
FRAME_OVERHEAD: Final = 16 << 20
"""Bytes of a frame beside the largest body in it, at most."""
MAX_PART: Final = 4 << 20
"""Bytes of bodies that a sender puts into one frame, unless a single body is larger."""
_LENGTH: Final = Struct("!I")
_MAX_ITEMS: Final = 1 << 20
_HEADERS: Final = 5


class ReportViolation(Exception):
    """An executor has said what none of ours says.

    Args:
        text: what, for people.
        before: the reports before it that came with it, and are good.
    """

    def __init__(self, text: str, before: Sequence[Report] = ()) -> None:
        super().__init__(text)
        self.before = list(before)


class _Packers(threading.local):
    """A packer for each thread: they are not to be shared."""

    def __init__(self) -> None:
        self.pack = msgpack.Packer(unicode_errors="surrogatepass").pack


_packers: Final = _Packers()


def pack_reports(reports: Sequence[Report]) -> bytes:
    """One frame with these reports.

    Raises:
        TypeError, ValueError, OverflowError: a value in them cannot travel.
    """
    body: bytes = _packers.pack(reports)
    return _LENGTH.pack(len(body)) + body


def publication_values(publication: Publication) -> Report:
    """A publication as a report has it.

    Raises:
        ValueError: a value of it cannot travel, with which.
    """
    values = publication_tuple(publication)
    for name, value in publication.headers.items():
        if type(name) is not str or type(value) not in SCALARS:
            plain = _plain(publication.headers, "headers")
            values = (*values[:_HEADERS], plain, *values[_HEADERS + 1 :])
            break
    if not is_publication(values):
        raise ValueError(f"a property is of a wrong type: {publication!r:.500}")
    return values


def _plain(value: object, place: str, depth: int = 0) -> object:
    """A header's value as AMQP has it; what AMQP does not know, such as a path, is a text then."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{place[:200]} is nested too deeply, or holds itself")
    if isinstance(value, Mapping):
        if wrong := [name for name in value if not isinstance(name, str)]:
            raise ValueError(f"{place}: the name {wrong[0]!r} is no text")
        return {
            "".join(["", name]): _plain(item, f"{place}[{name!r}]", depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, f"{place}[…]", depth + 1) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if value is None or type(value) in SCALARS:
        return value
    for plain in (int, float):
        if isinstance(value, plain):
            return plain(value)
    return "".join(["", str(value)])  # exactly a str


class ReportUnpacker:
    """Turns the bytes of an executor's socket, in whatever pieces they come, into reports.

    Args:
        max_frame: bytes of a frame at most.
    """

    def __init__(self, max_frame: int = DEFAULT_MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Report]:
        """All reports of the frames that are complete with this piece; their shapes are right.

        Raises:
            ReportViolation: one is not; what comes after it is lost.
        """
        if self._buffer:
            self._buffer += data
            with memoryview(self._buffer) as view:
                reports, used = self._frames(view)
            if used:
                del self._buffer[:used]
            return reports
        with memoryview(data) as view:
            reports, used = self._frames(view)
            if used < len(view):
                self._buffer += view[used:]
        return reports

    def _frames(self, view: memoryview) -> tuple[list[Report], int]:
        """The reports of all complete frames, and how many bytes these take."""
        reports: list[Report] = []
        at, size = 0, len(view)
        while size - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(view, at)
            if length > self._max_frame:
                text = f"a frame of {length:,} bytes; {self._max_frame:,} at most"
                raise ReportViolation(text, reports)
            end = at + _LENGTH.size + length
            if size < end:
                break
            for report in _frame(view[at + _LENGTH.size : end]):
                if not (is_plain_success(report) or is_right(report)):
                    raise ReportViolation("a report of a wrong kind or shape", reports)
                reports.append(tuple(report))
            at = end
        return reports, at


def _frame(frame: memoryview) -> list[Any]:
    """The items of a frame; what is none has one item, which is no report."""
    try:
        found = unpackb(
            frame,
            unicode_errors="surrogatepass",
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_ITEMS,
        )
    except Exception:  # its decoder documents several
        return [None]
    return found if type(found) is list else [None]
