"""From a dead letter to the publication that replays it; pure functions."""

from __future__ import annotations

import socket
from typing import Any, Final

from rmqwork._admin.deadletters.queue_names import work_queue
from rmqwork._messages import headers as names
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._messages.history import (
    HISTORY,
    REPLAYED,
    AttemptRecord,
    append,
    summary,
    utc_now,
)
from rmqwork._topology.delays import DUE_HEADER
from rmqwork._topology.topology import UNROUTABLE
from rmqwork.types import Publication

_OF_THE_FAILURE: Final = frozenset(
    {*names.ERROR_HEADERS, names.ATTEMPT, names.UNKNOWN_SINCE, names.HOST}
)


def replays_of(letter: DeadLetter) -> int:
    """How often a letter was replayed before."""
    value = letter.headers.get(names.REPLAY)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def last_failure(letter: DeadLetter) -> AttemptRecord:
    """Why it is a dead letter, as a step of its history."""
    at = "" if letter.at is None else letter.at.isoformat(timespec="milliseconds")
    what = summary(letter.error_type or letter.reason, letter.error_message)
    return AttemptRecord(letter.attempt, at.replace("+00:00", "Z"), letter.host, what)


def route_back(letter: DeadLetter) -> tuple[str, str]:
    """The exchange and the routing key by which a letter comes to the queue that it failed in.

    To that queue alone: its first route may have led to others, too, where it did not fail. What
    never reached a queue takes its first route.
    """
    if letter.queue != UNROUTABLE:
        return "", work_queue(letter.queue, letter.dead_letter_queue)
    due = letter.headers.get(DUE_HEADER)
    return (due if isinstance(due, str) else ""), letter.routing_key


def resent(letter: DeadLetter, to: str | None, now: float) -> Publication:
    """The message once more: the same id, body and properties, its attempts counted anew.

    What the broker and the worker noted of its death is left out, and a time after which it must
    not start, if that is past: whoever replays it wants it to run. Its history and the header of
    its workflow stay; ``rmqwork-replay`` counts.

    Args:
        letter: the dead letter.
        to: the queue; None = where it failed.
        now: seconds since the epoch.
    """
    exchange, routing_key = route_back(letter) if to is None else ("", to)
    headers = {
        key: value
        for key, value in names.may_travel(letter.headers).items()
        if key not in _OF_THE_FAILURE
    }
    expires = headers.get(names.EXPIRES_AT)
    if isinstance(expires, int) and expires <= now * 1000:
        del headers[names.EXPIRES_AT]
    headers[names.REPLAY] = replays_of(letter) + 1
    by = AttemptRecord(0, utc_now(), socket.gethostname(), REPLAYED)
    headers[HISTORY] = append(letter.headers, last_failure(letter), by)
    return published_as(letter, exchange, routing_key, headers)


def published_as(
    letter: DeadLetter, exchange: str, routing_key: str, headers: dict[str, object]
) -> Publication:
    """A publication with a letter's id, body and properties."""
    properties: dict[str, Any] = {"content_type": None, **letter.properties}
    return Publication(
        exchange, routing_key, letter.body, letter.id or "", letter.task, headers, **properties
    )
