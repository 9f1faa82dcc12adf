"""A message inside the broker: its content, what it has been through, its place in a queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from rmqwork._messages import headers as names
from rmqwork.types import Publication

_MOMENTS = (names.EXPIRES_AT, names.UNKNOWN_SINCE)
"""Headers of ours that hold milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Death:
    """What one queue has done to a message for one reason; an entry of ``x-death``."""

    queue: str
    reason: str
    exchange: str
    routing_keys: tuple[str, ...]
    time: str
    count: int = 1

    def header(self) -> dict[str, object]:
        """As clients see it."""
        return {
            "count": self.count,
            "reason": self.reason,
            "queue": self.queue,
            "time": self.time,
            "exchange": self.exchange,
            "routing-keys": list(self.routing_keys),
        }


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way through exchanges and queues.

    Args:
        content: as it was published; exchange and routing key are those of its last routing.
        deaths: the latest first.
        first_death: the very first.
        acquired: how often it had been delivered in the queue that it left.
        failures: of these, how many counted as failures.
        copies: whether the keys in its headers CC and BCC route it, too.
    """

    content: Publication
    deaths: tuple[Death, ...] = ()
    first_death: Death | None = None
    acquired: int = 0
    failures: int = 0
    copies: bool = True

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return len(self.content.body)

    @property
    def routing_keys(self) -> tuple[str, ...]:
        """The routing key, and those of the headers CC and BCC."""
        headers = self.content.headers
        keys = [self.content.routing_key]
        for name in ("CC", "BCC") if self.copies else ():
            more = headers.get(name)
            if isinstance(more, list):
                keys += [key for key in more if isinstance(key, str)]
        return tuple(keys)

    def buried(self, death: Death, exchange: str, routing_key: str | None) -> Message:
        """The message as it leaves a queue for a dead-letter exchange."""
        same = [d for d in self.deaths if (d.queue, d.reason) == (death.queue, death.reason)]
        others = [d for d in self.deaths if d not in same]
        if same:
            death = replace(death, count=same[0].count + 1)
        copies, key = self.copies, self.content.routing_key
        if routing_key is not None:  # it alone counts from here on; the headers stay (4.3.6)
            copies, key = False, routing_key
        content = replace(self.content, exchange=exchange, routing_key=key)
        first = self.first_death or death
        deaths = (death, *others)
        return replace(self, content=content, deaths=deaths, first_death=first, copies=copies)

    def headers(self) -> dict[str, object]:
        """The headers as clients see them, without the counts of a queue."""
        headers = {key: value for key, value in self.content.headers.items() if key != "BCC"}
        if self.first_death is not None:
            headers["x-death"] = [death.header() for death in self.deaths]
            for which, death in (("first", self.first_death), ("last", self.deaths[0])):
                headers[f"x-{which}-death-queue"] = death.queue
                headers[f"x-{which}-death-reason"] = death.reason
                headers[f"x-{which}-death-exchange"] = death.exchange
        return headers


@dataclass(slots=True, eq=False)
class Entry:
    """A message in a queue.

    Args:
        message: which.
        number: its place among all that came into the queue.
        expires: when its time to live ends, by the broker's clock; None = never.
        failures: deliveries that counted as failures.
        acquired: deliveries.
        ready: whether it waits in the queue (not with a consumer, not gone).
    """

    message: Message
    number: int
    expires: float | None = None
    failures: int = 0
    acquired: int = 0
    redelivered: bool = False
    ready: bool = field(default=False)


def shifted(publication: Publication, seconds: float) -> Publication:
    """A publication whose moments are translated to a clock that is ahead by so many seconds."""
    if not seconds:
        return publication
    headers = shifted_headers(publication.headers, seconds)
    stamp = publication.timestamp
    return replace(
        publication, headers=headers, timestamp=None if stamp is None else round(stamp + seconds)
    )


def shifted_headers(headers: Mapping[str, object], seconds: float) -> Mapping[str, object]:
    """Headers whose moments are translated likewise."""
    found = [name for name in _MOMENTS if isinstance(headers.get(name), int)]
    if not found or not seconds:
        return headers
    moved: dict[str, Any] = dict(headers)
    for name in found:
        moved[name] = round(moved[name] + seconds * 1000)
    return moved


def plain(value: object) -> object:
    """A header's value as it arrives at the other end: an own copy, of plain types."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item) for item in value]
    for kind in (bool, int, str, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def stamp(seconds: float) -> str:
    """A moment as it is written into ``x-death``: whole seconds, ISO 8601, UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
