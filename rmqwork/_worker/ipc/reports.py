"""Reports: what an executor says to the worker process, which takes nothing of it on trust.

Tasks share a process with the code that reports, so whatever they break may arrive here. A frame is
a 4-byte big-endian length and a MessagePack array of arrays: unlike `marshal`, its decoder cannot
be crashed by its input. Each report has one of the shapes below, or it is a `ReportViolation`.

    ("o", number, "s", duration, result)           ("ready", pid)
    ("o", number, "p", duration, node)             ("import-error", text)
    ("o", number, "r", duration, delay, counts,    ("lifespan-error", text)
     type, message, traceback)                     ("warning", text)
    ("o", number, "f", duration, reason,           ("stack", request, text)
     type, message, traceback)                     ("pong", number)
    ("back", [number, …])                          ("progress", number, current, total)
    ("cancelled", number)                          ("publish", request, [publication, …], timeout)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from struct import Struct
from typing import Any, Final

import msgpack
from msgpack import unpackb

from rmqwork._worker.ipc.wire import publication_tuple
from rmqwork.types import Publication, Reason

Report = tuple[Any, ...]

DEFAULT_MAX_FRAME: Final = 144 << 20
"""Bytes of a frame at most, where nothing is known of the app's largest message."""
FRAME_OVERHEAD: Final = 16 << 20
"""Bytes of a frame beside the largest body in it, at most."""
MAX_PART: Final = 4 << 20
"""Bytes of bodies that a sender puts into one frame, unless a single body is larger."""
_LENGTH: Final = Struct("!I")
_MAX_ITEMS: Final = 1 << 20
_MAX_DEPTH: Final = 32
_MAX_SECONDS: Final = 1e10
_MAX_INTEGER: Final = 1 << 63
_HEADERS: Final = 5
_SCALARS: Final = frozenset((str, int, float, bool, bytes, type(None)))
_REASONS: Final = frozenset(reason.value for reason in Reason)


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
        if type(name) is not str or type(value) not in _SCALARS:
            plain = _plain(publication.headers, "headers")
            values = (*values[:_HEADERS], plain, *values[_HEADERS + 1 :])
            break
    if not _is_publication(values):
        raise ValueError(f"a property is of a wrong type: {publication!r:.500}")
    return values


def _plain(value: object, place: str, depth: int = 0) -> object:
    """A header's value as AMQP has it; what AMQP does not know, such as a path, is a text then."""
    if depth > _MAX_DEPTH:
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
    if value is None or type(value) in _SCALARS:
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
                if not (_is_plain_success(report) or _is_right(report)):
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


def _is_plain_success(report: Any) -> bool:
    """Whether it is what nearly all reports are, for which one look suffices."""
    if type(report) is not list or len(report) != 5:
        return False
    kind, number, how, duration, result = report
    return (
        kind == "o"
        and how == "s"
        and result is None
        and type(number) is int
        and type(duration) is float
        and 0.0 <= duration < _MAX_SECONDS
    )


def _is_right(report: Any) -> bool:
    try:
        return _SHAPES[report[0]](report)
    except (TypeError, KeyError, IndexError, ValueError):
        return False


def _is_number(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_seconds(value: object) -> bool:
    return type(value) is float and 0 <= value < _MAX_SECONDS


def _is_text(*values: object) -> bool:
    return all(type(value) is str for value in values)


def _is_body(value: object) -> bool:
    return value is None or type(value) is bytes


def _outcome(report: Report) -> bool:
    _, number, kind, duration, *rest = report
    if not (_is_number(number) and _is_seconds(duration)):
        return False
    if kind == "s":
        return len(rest) == 1 and _is_body(rest[0])
    if kind == "p":
        return len(rest) == 1 and type(rest[0]) is bytes
    if kind == "r":
        delay, counts, *evidence = rest
        right = type(delay) is float and isfinite(delay) and type(counts) is bool
        return right and len(evidence) == 3 and _is_text(*evidence)
    reason, *evidence = rest
    return kind == "f" and reason in _REASONS and len(evidence) == 3 and _is_text(*evidence)


def _progress(report: Report) -> bool:
    _, number, current, total = report
    return _is_number(number) and type(current) is float and (total is None or type(total) is float)


def _publish(report: Report) -> bool:
    _, request, publications, timeout = report
    return (
        _is_number(request)
        and type(publications) is list
        and _is_seconds(timeout)
        and all(map(_is_publication, publications))
    )


def _is_publication(values: Any) -> bool:
    """Whether these are a publication's values; see `wire.publication_tuple`."""
    exchange, key, body, message_id, kind, headers, due, priority, *rest = values
    *texts, timestamp, app_id = rest  # content type and encoding, correlation id, reply address
    return (
        _is_text(exchange, key, message_id)
        and (kind is None or type(kind) is str)
        and type(body) is bytes
        and type(headers) is dict
        and _is_table(headers, 0)
        and (due is None or (type(due) in (int, float) and isfinite(due)))
        and (priority is None or (type(priority) is int and 0 <= priority <= 255))
        and len(texts) == 4
        and all(text is None or type(text) is str for text in (*texts, app_id))
        and (timestamp is None or (type(timestamp) is int and 0 <= timestamp < 1 << 64))
    )


def _is_table(table: dict[object, object], depth: int) -> bool:
    """Whether headers have nothing of MessagePack that AMQP does not have."""
    return depth < _MAX_DEPTH and all(
        type(name) is str and _is_item(value, depth) for name, value in table.items()
    )


def _is_item(value: object, depth: int) -> bool:
    if type(value) is int:
        return -_MAX_INTEGER <= value < _MAX_INTEGER
    if type(value) in _SCALARS:
        return True
    if type(value) is dict:
        return _is_table(value, depth + 1)
    return (
        type(value) is list
        and depth < _MAX_DEPTH
        and all(_is_item(item, depth + 1) for item in value)
    )


_SHAPES: Final[Mapping[str, Callable[[Report], bool]]] = {
    "o": _outcome,
    "publish": _publish,
    "progress": _progress,
    "back": lambda report: (
        len(report) == 2 and type(report[1]) is list and all(map(_is_number, report[1]))
    ),
    "cancelled": lambda report: len(report) == 2 and _is_number(report[1]),
    "pong": lambda report: len(report) == 2 and _is_number(report[1]),
    "ready": lambda report: len(report) == 2 and _is_number(report[1]),
    "stack": lambda report: len(report) == 3 and _is_number(report[1]) and _is_text(report[2]),
    "warning": lambda report: len(report) == 2 and _is_text(report[1]),
    "import-error": lambda report: len(report) == 2 and _is_text(report[1]),
    "lifespan-error": lambda report: len(report) == 2 and _is_text(report[1]),
}
