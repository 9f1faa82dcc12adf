"""One line an event: human on a terminal, JSON when not."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping, Set
from datetime import UTC, datetime
from typing import Any, Final

from rmqwork.errors import ConfigurationError

FIELDS: Final = "rmqwork"
"""The attribute of a log record that holds its fields."""
TRACEBACK: Final = "traceback"
"""The field with the traceback of another process: people get it line by line."""
_STANDARD: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
)
"""What every record has."""
_SAFE: Final = (str, int, bool, type(None))
"""What JSON takes whatever its value is."""
_RESERVED: Final = frozenset({"at", "level", "logger", "event", "traceback"})
"""What a line says of its record; a field of that name gets a prefix, so that both are there."""
_QUIET: Final = "\x1b[2m"
_COLORS: Final = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
_RESET: Final = "\x1b[0m"


def configure(log_format: str | None, level: str) -> None:
    """Send all log records to stderr, in one of our two formats.

    Args:
        log_format: ``human``, ``json``, or ``auto`` and None: human if stderr is a terminal.
        level: a name of the `logging` module, in any case.

    Raises:
        ConfigurationError: unknown format or level.
    """
    terminal = sys.stderr.isatty()
    if log_format in (None, "auto"):
        log_format = "human" if terminal else "json"
    if log_format not in ("human", "json"):
        raise ConfigurationError(f"unknown log format {log_format!r}; use 'human' or 'json'")
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError(f"unknown log level {level!r}; use debug, info, warning or error")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else HumanFormatter(terminal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """The fields that a record carries beside its message: ours, and all given as ``extra=``."""
    given = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    fields = given.get(FIELDS)
    if not isinstance(fields, Mapping):
        return _beside(_RESERVED, given)
    del given[FIELDS]
    if not given:
        return fields
    return {**_beside(_RESERVED | fields.keys(), given), **fields}


def _beside(taken: Set[str], given: Mapping[str, object]) -> dict[str, object]:
    """The given fields, those with a name that is taken under another one: ``extra_event``."""
    fields = {name: value for name, value in given.items() if name not in taken}
    for name in given.keys() & taken:
        free = f"extra_{name}"
        while free in taken or free in given or free in fields:
            free = f"extra_{free}"
        fields[free] = given[name]
    return fields


class FieldsAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry some fields, and those given as ``extra=``, under whatever name.

    `logging` itself would drop the given ones, or refuse those that are named as an attribute of
    its records.
    """

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """See `logging.LoggerAdapter.process`."""
        ours = self.extra or {}
        if given := kwargs.get("extra"):
            kwargs["extra"] = {**_beside(_STANDARD | ours.keys(), given), **ours}
        else:
            kwargs["extra"] = ours
        return msg, kwargs


class JsonFormatter(logging.Formatter):
    """A JSON object a line: ``at, level, logger, event`` and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        try:
            return json.dumps(line, default=str, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError):  # a key that is no text, NaN, a circle
            plain = {key: val if type(val) in _SAFE else str(val) for key, val in line.items()}
            return json.dumps(plain, ensure_ascii=False)


class HumanFormatter(logging.Formatter):
    """``12:00:01.123 event  name=value …``, with colours on a terminal."""

    def __init__(self, colors: bool) -> None:
        super().__init__()
        self._colors = colors

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, its traceback below it; control characters are escaped."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        given = dict(fields_of(record))
        traceback = str(given.pop(TRACEBACK, ""))
        fields = "  ".join(f"{name}={_plain(str(value))}" for name, value in given.items())
        message = _plain(record.getMessage())
        if self._colors:
            at = f"{_QUIET}{at}{_RESET}"
            fields = f"{_QUIET}{fields}{_RESET}" if fields else ""
            message = f"{_COLORS.get(record.levelname, '')}{message}{_RESET}"
        elif record.levelno >= logging.WARNING:
            message = f"{record.levelname} {message}"
        line = f"{at} {message}  {fields}".rstrip()
        lines = [line, *map(_plain, traceback.splitlines())]
        if record.exc_info:
            lines.append(self.formatException(record.exc_info))
        return "\n".join(lines)


def _plain(text: str) -> str:
    """A text of which a terminal obeys nothing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
