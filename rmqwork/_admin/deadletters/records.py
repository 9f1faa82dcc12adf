"""A dead letter as one line of JSON, and back: byte for byte.

JSON has no bytes and AMQP has: a body that is no UTF-8 is in ``body_base64``, and in headers bytes
are ``{"base64": "…"}`` and tables ``{"table": {…}}``. What the broker counts for itself
(``x-delivery-count``, ``x-acquired-count``) is left out. Times and decimals in the headers of
foreign producers are texts already when they arrive.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rmqwork._admin.deadletters.queue_names import home_of
from rmqwork._messages.dead_letter import DeadLetter, dead_letter
from rmqwork.errors import ConfigurationError
from rmqwork.types import Delivery

FORMAT: Final = "rmqwork.dead-letter.v1"
_COUNTERS: Final = frozenset({"x-delivery-count", "x-acquired-count"})


class _NoChannel:
    """The channel of a letter that was read from a file: there is nothing to settle."""

    @property
    def is_open(self) -> bool:
        """False: there is no channel."""
        return False

    def ack(self, delivery: Delivery) -> None:
        """Refuse it."""
        raise TypeError(f"{delivery.message_id} was read from a file and cannot be settled")

    nack = ack

    async def synced(self) -> None:
        """Return at once: nothing was settled."""


def to_line(letter: DeadLetter) -> str:
    """A letter as one line of JSON (ASCII, without the line end)."""
    try:
        body, encoded = letter.body.decode("utf-8"), None
    except UnicodeDecodeError:
        body, encoded = None, base64.b64encode(letter.body).decode()
    headers = {key: value for key, value in letter.headers.items() if key not in _COUNTERS}
    record = {
        "format": FORMAT,
        "dead_letter_queue": letter.dead_letter_queue,
        "queue": letter.queue,
        "id": letter.id,
        "task": letter.task,
        "reason": letter.reason,
        "error_type": letter.error_type,
        "error_message": letter.error_message,
        "attempt": letter.attempt,
        "at": _iso(letter.at),
        "exchange": letter.exchange,
        "routing_key": letter.routing_key,
        "body": body,
        "body_base64": encoded,
        "properties": dict(letter.properties),
        "headers": {key: _packed(headers[key]) for key in sorted(headers)},
    }
    return json.dumps(record, separators=(",", ":"))


def from_line(line: str) -> DeadLetter:
    """The letter of a line. What headers and properties say counts; the rest is for readers.

    Raises:
        ConfigurationError: it is no such line, with what is wrong.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"no JSON: {error}") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ConfigurationError(f'no dead letter: "format" is not {FORMAT!r}')
    place = _text(record, "dead_letter_queue")
    properties = record.get("properties")
    headers = record.get("headers")
    if not place or not isinstance(properties, dict) or not isinstance(headers, dict):
        raise ConfigurationError("no dead letter: dead_letter_queue, properties or headers is bad")
    return dead_letter(
        Delivery(
            _NoChannel(),
            0,
            place,
            _text(record, "exchange") or "",
            _text(record, "routing_key") or "",
            False,
            _body(record),
            {key: _unpacked(value) for key, value in headers.items()},
            _text(record, "id"),
            _text(record, "task"),
            _text(properties, "content_type"),
            _text(properties, "content_encoding"),
            _text(properties, "correlation_id"),
            _text(properties, "reply_to"),
            _number(properties, "priority"),
            _number(properties, "timestamp"),
            _text(properties, "app_id"),
        ),
        home_of(place),
    )


def jsonable(value: object) -> Any:
    """A header's value as JSON for reading; bytes that are no text as base64."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value


def _packed(value: object) -> Any:
    if isinstance(value, Mapping):
        return {"table": {key: _packed(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_packed(item) for item in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return value


def _unpacked(value: Any) -> object:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("base64"), str):
        return _bytes("a header", value["base64"])
    if isinstance(value.get("table"), dict):
        return {key: _unpacked(item) for key, item in value["table"].items()}
    raise ConfigurationError('a header is an object that is neither "base64" nor "table"')


def _body(record: Mapping[str, Any]) -> bytes:
    text = record.get("body")
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    encoded = record.get("body_base64")
    if isinstance(encoded, str):
        return _bytes("body_base64", encoded)
    raise ConfigurationError("no dead letter: there is no body")


def _bytes(what: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{what} is no base64") from None


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ConfigurationError(f"{name} is no text")


def _number(record: Mapping[str, Any], name: str) -> int | None:
    value = record.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ConfigurationError(f"{name} is no number")


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
