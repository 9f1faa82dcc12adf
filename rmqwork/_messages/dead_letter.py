"""`DeadLetter`: one message of a dead-letter queue, and what its headers tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rmqwork._messages import headers as names
from rmqwork._topology.delays import PREFIX as _DELAYS
from rmqwork.types import Delivery, Headers


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of a dead-letter queue.

    Args:
        queue: the queue that it was consumed from, as far as the message tells.
        dead_letter_queue: the queue that it lies in.
        id: the task's id; None when the producer gave none. Copies share it.
        task: the task's name (the message's ``type``), or None.
        body: as it was published, byte for byte.
        headers: as they arrived, those of the evidence among them.
        properties: the other AMQP properties that are set, by name.
        reason: one of `rmqwork.types.Reason`; of a message that the broker moved itself, its
            word: ``expired``, ``maxlen``, ``delivery_limit``, ``rejected``; or ``unknown``.
        by_broker: whether the broker moved it, and not a worker.
        error_type: the exception's class, or an empty string.
        error_message: the exception's text, or an empty string.
        traceback: the traceback (its end, if it was long), or an empty string.
        attempt: the attempt that failed last, from 1.
        at: when it failed, in UTC, or None when nobody noted it.
        exchange: the exchange that it was first published to.
        routing_key: likewise.
        host: the worker that gave it up, or an empty string.
    """

    queue: str
    dead_letter_queue: str
    id: str | None
    task: str | None
    body: bytes
    headers: Headers
    properties: Mapping[str, object]
    reason: str
    by_broker: bool
    error_type: str
    error_message: str
    traceback: str
    attempt: int
    at: datetime | None
    exchange: str
    routing_key: str
    host: str


@dataclass(frozen=True, slots=True)
class _Death:
    """The broker's own account of a move (RabbitMQ guide "Dead Letter Exchanges")."""

    reason: str = ""
    queue: str = ""
    exchange: str = ""
    routing_key: str = ""
    at: datetime | None = None


_NO_DEATH = _Death()


def dead_letter(delivery: Delivery, queue: str) -> DeadLetter:
    """What a delivery from the dead-letter queue of ``queue`` tells; never raises."""
    headers = delivery.headers
    ours = _text(headers.get(names.ERROR_REASON))
    death = _NO_DEATH if ours else _death(headers)
    by_broker = not ours and bool(death.reason)
    if not by_broker:
        death = _NO_DEATH
    return DeadLetter(
        queue=_text(headers.get(names.QUEUE)) or death.queue or queue,
        dead_letter_queue=delivery.queue,
        id=delivery.message_id or None,
        task=delivery.type,
        body=delivery.body,
        headers=headers,
        properties=_properties(delivery),
        reason=ours or death.reason or "unknown",
        by_broker=by_broker,
        error_type=_text(headers.get(names.ERROR_TYPE)),
        error_message=_text(headers.get(names.ERROR_MESSAGE)),
        traceback=_text(headers.get(names.ERROR_TRACEBACK)),
        attempt=_number(headers.get(names.ATTEMPT)),
        at=_moment(headers.get(names.ERROR_AT)) or death.at,
        exchange=_text(headers.get(names.EXCHANGE), death.exchange or delivery.exchange),
        routing_key=_text(
            headers.get(names.ROUTING_KEY), death.routing_key or delivery.routing_key
        ),
        host=_text(headers.get(names.HOST)),
    )


def _properties(delivery: Delivery) -> dict[str, object]:
    values = {
        "content_type": delivery.content_type,
        "content_encoding": delivery.content_encoding,
        "correlation_id": delivery.correlation_id,
        "reply_to": delivery.reply_to,
        "priority": delivery.priority,
        "timestamp": delivery.timestamp,
        "app_id": delivery.app_id,
    }
    return {name: value for name, value in values.items() if value is not None}


def _death(headers: Headers) -> _Death:
    """The last move by the broker that was not a step of a delay."""
    deaths = headers.get("x-death")
    for entry in deaths if isinstance(deaths, list) else ():
        if not isinstance(entry, Mapping):
            continue
        queue = _text(entry.get("queue"))
        if queue.startswith(_DELAYS):
            continue
        keys = entry.get("routing-keys")
        return _Death(
            _text(entry.get("reason")),
            queue,
            _text(entry.get("exchange")),
            _text(keys[0]) if isinstance(keys, list) and keys else "",
            _moment(entry.get("time")),
        )
    queue = _text(headers.get("x-first-death-queue"))
    if not queue or queue.startswith(_DELAYS):
        return _Death()
    return _Death(
        _text(headers.get("x-first-death-reason")),
        queue,
        _text(headers.get("x-first-death-exchange")),
    )


def _text(value: object, default: str = "") -> str:
    if type(value) is str:
        return value
    if value is None:
        return default
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else str(value)


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return max(1, value)
    return 1


def _moment(value: object) -> datetime | None:
    """A time in ISO 8601, or in seconds since the epoch; without a zone it is UTC (AMQP)."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
