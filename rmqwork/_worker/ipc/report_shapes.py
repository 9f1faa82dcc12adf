"""The shapes of the reports that an executor makes, and no others.

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

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from rmqwork._worker.ipc.wire import Message
from rmqwork.types import Reason

_MAX_SECONDS: Final = 1e10
_MAX_INTEGER: Final = 1 << 63
_REASONS: Final = frozenset(reason.value for reason in Reason)
MAX_DEPTH: Final = 32
SCALARS: Final = frozenset((str, int, float, bool, bytes, type(None)))


def is_plain_success(report: Any) -> bool:
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


def is_right(report: Any) -> bool:
    """Whether it is a report of one of the shapes."""
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


def _outcome(report: Message) -> bool:
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


def _progress(report: Message) -> bool:
    _, number, current, total = report
    return _is_number(number) and type(current) is float and (total is None or type(total) is float)


def _publish(report: Message) -> bool:
    _, request, publications, timeout = report
    return (
        _is_number(request)
        and type(publications) is list
        and _is_seconds(timeout)
        and all(map(is_publication, publications))
    )


def is_publication(values: Any) -> bool:
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
    return depth < MAX_DEPTH and all(
        type(name) is str and _is_item(value, depth) for name, value in table.items()
    )


def _is_item(value: object, depth: int) -> bool:
    if type(value) is int:
        return -_MAX_INTEGER <= value < _MAX_INTEGER
    if type(value) in SCALARS:
        return True
    if type(value) is dict:
        return _is_table(value, depth + 1)
    return (
        type(value) is list
        and depth < MAX_DEPTH
        and all(_is_item(item, depth + 1) for item in value)
    )


_SHAPES: Final[Mapping[str, Callable[[Message], bool]]] = {
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
