"""The options of one call: when, where and how a message is published."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from rmqwork._config import celery_names
from rmqwork.errors import ConfigurationError, InvalidMessage
from rmqwork.types import Header

MAX_DELAY: Final = 300 * 86400.0
"""The longest countdown, in seconds: 300 days."""
_SHORT: Final = 255
_HEADERS_BYTES: Final = 32 * 1024


class PublishOptions(TypedDict, total=False):
    """The options that every publishing verb takes; None counts as not given.

    Args:
        countdown: seconds (or a timedelta) until the task may start; not with ``eta``.
        eta: when the task may start; with a time zone; at most 300 days ahead.
        expires: seconds from now, or a datetime with a time zone, after which the task must not
            start: its message is dead-lettered as ``expired``.
        queue: the queue's name; not with ``exchange``.
        exchange: an exchange of the app.
        routing_key: with ``exchange``; the default is the empty string.
        priority: 0 to 255; RabbitMQ's quorum queues know 0 to 31 (4.3) or two (4.0).
        task_id: the id of the message, if it is to be known beforehand or used again.
        headers: further headers; text, 64-bit integers and truth values.
        timeout: seconds to wait for the broker's confirm; default ``publish_timeout``.
    """

    countdown: float | timedelta | None
    eta: datetime | None
    expires: float | timedelta | datetime | None
    queue: str | None
    exchange: str | None
    routing_key: str | None
    priority: int | None
    task_id: str | None
    headers: Mapping[str, Header] | None
    timeout: float | None


LINKS: Final = ("link", "link_error")
"""The options of signatures that start with the end of a call. They are let through unread: see
`rmqwork._canvas.links`."""
_NAMES: Final = frozenset((*PublishOptions.__annotations__, *LINKS))
RIVALS: Final = (
    ({"countdown"}, {"eta"}),
    ({"queue"}, {"exchange", "routing_key"}),
)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """`PublishOptions`, checked; ``eta`` and ``expires_at`` in seconds since the epoch."""

    countdown: float | None = None
    eta: float | None = None
    expires_in: float | None = None
    expires_at: float | None = None
    queue: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    priority: int | None = None
    task_id: str | None = None
    headers: Mapping[str, Header] = field(default_factory=dict)
    timeout: float | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    """As they were given: what a callable route and a merge see."""

    def due(self, now: float) -> float | None:
        """When the message is to be delivered; None = at once."""
        if self.countdown is not None:
            return now + self.countdown if self.countdown > 0 else None
        return self.eta if self.eta is not None and self.eta > now else None

    def expiry(self, now: float) -> float | None:
        """After which moment the task must not start."""
        return now + self.expires_in if self.expires_in is not None else self.expires_at


NO_OPTIONS: Final = CallOptions()


def parse(given: Mapping[str, Any], where: str, now: float) -> CallOptions:
    """Check options.

    Args:
        given: by their names in `PublishOptions`; None counts as not given.
        where: which call, for the error's text.
        now: seconds since the epoch.

    Raises:
        ConfigurationError: an unknown option, two that exclude each other, or a bad value.
        InvalidMessage: headers or names that AMQP cannot carry.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return NO_OPTIONS
    _check_names(given, where)
    expires = given.get("expires")
    expires_at = _moment(expires, "expires", where) if isinstance(expires, datetime) else None
    eta = _moment(given["eta"], "eta", where) if "eta" in given else None
    if eta is not None and eta - now > MAX_DELAY:
        raise ConfigurationError(f"{where}: eta {given['eta']} is more than 300 days away")
    return CallOptions(
        countdown=_countdown(given.get("countdown"), where),
        eta=eta,
        expires_in=None if expires_at is not None else _seconds(expires, "expires", where),
        expires_at=expires_at,
        queue=_text(given.get("queue"), "queue", where),
        exchange=_text(given.get("exchange"), "exchange", where, may_be_empty=True),
        routing_key=_text(given.get("routing_key"), "routing_key", where, may_be_empty=True),
        priority=_priority(given.get("priority"), where),
        task_id=_text(given.get("task_id"), "task_id", where),
        headers=check_headers(given.get("headers", {}), where),
        timeout=_timeout(given.get("timeout"), where),
        given=given,
    )


def merge(base: CallOptions, given: Mapping[str, Any], where: str, now: float) -> CallOptions:
    """Options on top of others: a new queue puts aside the old exchange, and so on."""
    if base is NO_OPTIONS or not base.given:
        return parse(given, where, now)
    kept = dict(base.given)
    new = {name: value for name, value in given.items() if value is not None}
    for pair in RIVALS:
        for mine, other in (pair, pair[::-1]):
            if mine & new.keys():
                for name in other:
                    kept.pop(name, None)
    return parse({**kept, **new}, where, now)


def check_headers(headers: object, where: str) -> dict[str, Header]:
    """Headers that AMQP can carry, and that are not our own or the broker's.

    Raises:
        InvalidMessage: see above.
    """
    if not isinstance(headers, Mapping):
        raise InvalidMessage(f"{where}: headers are a mapping, not {type(headers).__name__}")
    size = 0
    for key, value in headers.items():
        if not isinstance(key, str) or not 0 < size_of(key, "header", where) <= _SHORT:
            raise InvalidMessage(f"{where}: a header's name is a text of 1 to 255 bytes: {key!r}")
        if key.startswith(("rmqwork-", "x-")) or key in ("CC", "BCC"):
            raise InvalidMessage(
                f"{where}: header {key!r} is not for applications (rmqwork-…, x-…, CC and BCC "
                "steer messages); choose another name"
            )
        if isinstance(value, str):
            size += size_of(value, f"header {key!r}", where)
        elif not isinstance(value, int):  # a bool is an int
            raise InvalidMessage(
                f"{where}: header {key!r} is a {type(value).__name__}; AMQP clients agree on text, "
                "integers and truth values only: convert it, or put it into the message"
            )
        elif not -(1 << 63) <= value < 1 << 63:
            raise InvalidMessage(f"{where}: header {key!r} does not fit 64 bits; send it as text")
        size += len(key)
    if size > _HEADERS_BYTES:
        raise InvalidMessage(
            f"{where}: the headers take {size} bytes; all properties must fit one frame, so keep "
            "them under 32 KiB and put the rest into the message"
        )
    return dict(headers)


def size_of(text: str, what: str, where: str) -> int:
    """A text's length in bytes.

    Raises:
        InvalidMessage: it cannot be encoded.
    """
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InvalidMessage(f"{where}: {what} {text!r} cannot be encoded as UTF-8") from None


def _check_names(given: Mapping[str, Any], where: str) -> None:
    unknown = sorted(given.keys() - _NAMES)
    if unknown:
        raise ConfigurationError(
            f"{where}: unknown option {', '.join(map(repr, unknown))}; there are "
            f"{', '.join(sorted(_NAMES))}{celery_names.of_calls(unknown)}"
        )
    for one, other in RIVALS:
        if one & given.keys() and other & given.keys():
            both = sorted((one | other) & given.keys())
            raise ConfigurationError(f"{where}: {' and '.join(both)} exclude each other")
    if "routing_key" in given and "exchange" not in given:
        raise ConfigurationError(f"{where}: routing_key needs exchange; or name a queue")


def _seconds(value: Any, name: str, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigurationError(f"{where}: {name} is a number of seconds, not {value!r}")
    return float(value)


def _countdown(value: Any, where: str) -> float | None:
    seconds = _seconds(value, "countdown", where)
    if seconds is not None and seconds < 0:
        raise ConfigurationError(f"{where}: countdown is {seconds:g} s; it cannot be negative")
    if seconds is not None and seconds > MAX_DELAY:
        raise ConfigurationError(f"{where}: countdown {seconds:g} s is more than 300 days")
    return seconds


def _timeout(value: Any, where: str) -> float | None:
    seconds = _seconds(value, "timeout", where)
    if seconds is not None and seconds <= 0:
        raise ConfigurationError(f"{where}: timeout is {seconds:g} s; it must be above 0")
    return seconds


def _moment(value: Any, name: str, where: str) -> float:
    if not isinstance(value, datetime):
        raise ConfigurationError(f"{where}: {name} is a datetime, not {value!r}")
    if value.utcoffset() is None:
        raise ConfigurationError(
            f"{where}: {name} {value} has no time zone; use datetime.now(timezone.utc) + …"
        )
    return value.timestamp()


def _text(value: Any, name: str, where: str, *, may_be_empty: bool = False) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not (value or may_be_empty):
        raise ConfigurationError(f"{where}: {name} is a text, not {value!r}")
    if size_of(value, name, where) > _SHORT:
        raise InvalidMessage(f"{where}: {name} {value[:40]!r}… is longer than 255 bytes")
    return value


def _priority(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise ConfigurationError(f"{where}: priority is a number from 0 to 255, not {value!r}")
    return value
