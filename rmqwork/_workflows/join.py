"""The joins of one shard as a state machine: messages in, effects out; no I/O.

Whoever consumes the shard keeps each message of an open join unacked, and its state here. So a
crash gives everything to the next consumer, which comes to the same state. When a join is complete
(opened, and every member told), what follows is published and confirmed, then a **done** marker is,
and only then are the join's messages acked. The marker stays unacked for some time: late copies of
parts, and what a crash has left half acked, are recognised by it.

A new consumer does not know what lies behind what it has been given. It publishes a **fence**, and
completes nothing until that comes back: markers from before it are known then.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Generic, TypeVar

from rmqwork._messages import headers as names
from rmqwork._workflows import join_messages
from rmqwork._workflows.join_messages import Kind, Opened
from rmqwork.types import Delivery

T = TypeVar("T")
KEEP_MARKER: Final = 600.0
"""Seconds for which the end of a join is kept in its queue."""
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class JoinMessage:
    """What a message says.

    Args:
        kind: of message.
        join: the join's id; of a fence, its own.
        at: when it was published, in seconds since the epoch.
        opened: of an opening.
        index: of a part, from 0.
        body: a part's value, or a failure, as JSON.
    """

    kind: Kind
    join: str
    at: float
    opened: Opened | None = None
    index: int = 0
    body: bytes = b""


def join_message_of(delivery: Delivery, now: float, max_size: int) -> JoinMessage:
    """What a message of a shard says.

    Args:
        delivery: the message.
        now: seconds since the epoch, for a message that does not say when it was published.
        max_size: bytes of a body at most.

    Raises:
        ValueError: it is none of a join.
    """
    kind, join = join_messages.kind_of(delivery), delivery.message_id
    if kind is None or not join:
        raise ValueError(f"it has no id, or no {names.JOIN} that is known")
    at = float(delivery.timestamp or now)
    if kind is Kind.OPEN:
        return JoinMessage(
            kind, join, at, opened=join_messages.read_opened(delivery.body, at, max_size)
        )
    index = number_of(delivery.headers.get(names.INDEX))
    return JoinMessage(kind, join, at, index=index, body=delivery.body)


def number_of(value: object) -> int:
    """An index; what is none is 0 (of messages without one)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


# ── effects ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PublishFence:
    """Publish a fence of this name to the shard."""

    name: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Publish what follows from all values, in order; tell `Shard.followed` when confirmed."""

    join: str
    opened: Opened
    values: list[bytes]


@dataclass(frozen=True, slots=True)
class Fail:
    """Publish what follows from a member's failure; tell `Shard.followed` when confirmed."""

    join: str
    opened: Opened
    failure: bytes


@dataclass(frozen=True, slots=True)
class Abandon(Generic[T]):
    """It has waited too long: dead-letter its messages; tell `Shard.followed` when confirmed."""

    join: str
    opened: Opened | None
    arrived: int
    tokens: list[T]


@dataclass(frozen=True, slots=True)
class PublishDone:
    """Publish the marker of an end; tell `Shard.marked` when it is confirmed."""

    join: str


@dataclass(frozen=True, slots=True)
class Ack(Generic[T]):
    """Ack messages."""

    tokens: list[T]


Effect = PublishFence | Complete | Fail | Abandon[T] | PublishDone | Ack[T]


class _Stage(Enum):
    GATHERING = 0
    FOLLOWING = 1
    """What follows is being published; or after it, the marker."""


@dataclass(slots=True)
class _Join(Generic[T]):
    id: str
    born: float
    stage: _Stage = _Stage.GATHERING
    opened: Opened | None = None
    values: dict[int, bytes] = field(default_factory=dict)
    failure: bytes | None = None
    tokens: list[T] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gathering:
    """How far a join is.

    Args:
        join: its id, which is that of the group's result.
        workflow: None while nothing but parts of it has come.
        arrived: members whose value is here.
        size: of the group; None as above.
        born: when the first of its messages came, in seconds since the epoch.
    """

    join: str
    workflow: str | None
    arrived: int
    size: int | None
    born: float


class Shard(Generic[T]):
    """The joins of one queue.

    Args:
        ttl: seconds after which an open join is given up.
        fence: makes a name that nobody else uses.
    """

    def __init__(self, ttl: float, fence: Iterator[str]) -> None:
        self._ttl = ttl
        self._fences = fence
        self._fence: str | None = None
        self._passed = False
        self._joins: dict[str, _Join[T]] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._markers: deque[tuple[float, T]] = deque()

    @property
    def busy(self) -> bool:
        """Whether something is being published, or about to be."""
        waits = self._fence is not None and not self._passed
        return waits or any(join.stage is _Stage.FOLLOWING for join in self._joins.values())

    @property
    def open(self) -> int:
        """How many joins are open."""
        return len(self._joins)

    def summary(self) -> list[Gathering]:
        """The joins that are open, the oldest first."""
        return [
            Gathering(
                join.id,
                None if join.opened is None else join.opened.carry.workflow,
                len(join.values),
                None if join.opened is None else join.opened.size,
                join.born,
            )
            for join in self._joins.values()
        ]

    # ── messages come ─────────────────────────────────────────────────────────────────────────

    def received(self, told: JoinMessage, token: T) -> list[Effect[T]]:
        """A message has come; ``token`` is what it is to be acked by."""
        effects: list[Effect[T]] = []
        if self._fence is None:
            self._fence = next(self._fences)
            effects.append(PublishFence(self._fence))
        if told.kind is Kind.FENCE:
            effects.append(Ack([token]))
            if told.join == self._fence and not self._passed:
                self._passed = True
                for join in list(self._joins.values()):
                    effects += self._review(join)
        elif told.kind is Kind.DONE:
            self._markers.append((told.at, token))
            effects += self._end(told.join)
        elif told.join in self._ended:
            effects.append(Ack([token]))
        else:
            effects += self._gather(told, token)
        return effects

    def _gather(self, told: JoinMessage, token: T) -> list[Effect[T]]:
        join = self._joins.get(told.join)
        if join is None:
            join = self._joins[told.join] = _Join(told.join, told.at)
        if join.stage is _Stage.FOLLOWING:  # it is complete: only the ack is missing
            join.tokens.append(token)
            return []
        if self._knows(join, told):
            return [Ack([token])]
        join.tokens.append(token)
        join.born = min(join.born, told.at)
        if told.kind is Kind.OPEN:
            join.opened = told.opened
        elif told.kind is Kind.FAILED:
            join.failure = told.body
        else:
            join.values[told.index] = told.body
        return self._review(join)

    def _knows(self, join: _Join[T], told: JoinMessage) -> bool:
        """Whether a message is the copy of one that is held already."""
        if told.kind is Kind.OPEN:
            return join.opened is not None
        if told.kind is Kind.FAILED:
            return join.failure is not None or told.index in join.values
        return told.index in join.values

    def _review(self, join: _Join[T]) -> list[Effect[T]]:
        """What a join has come to."""
        opened = join.opened
        if not self._passed or opened is None or join.stage is _Stage.FOLLOWING:
            return []
        if join.failure is not None:
            join.stage = _Stage.FOLLOWING
            return [Fail(join.id, opened, join.failure)]
        if len(join.values) < opened.size:
            return []
        if any(index not in join.values for index in range(opened.size)):
            return []
        join.stage = _Stage.FOLLOWING
        return [Complete(join.id, opened, [join.values[n] for n in range(opened.size)])]

    # ── what was to be published is confirmed ─────────────────────────────────────────────────

    def followed(self, join: str) -> list[Effect[T]]:
        """What follows from a join is confirmed."""
        if join not in self._joins:  # its marker has come: somebody else has ended it
            return []
        self._joins[join].values.clear()
        return [PublishDone(join)]

    def marked(self, join: str) -> list[Effect[T]]:
        """The marker of a join's end is confirmed."""
        return self._end(join)

    def _end(self, join_id: str) -> list[Effect[T]]:
        self._ended[join_id] = None
        self._ended.move_to_end(join_id)
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        join = self._joins.pop(join_id, None)
        return [Ack(join.tokens)] if join is not None and join.tokens else []

    # ── time, and the loss of a channel ───────────────────────────────────────────────────────

    def elapsed(self, now: float) -> list[Effect[T]]:
        """Look at the clock, in seconds since the epoch."""
        effects: list[Effect[T]] = []
        old: list[T] = []
        while self._markers and self._markers[0][0] + KEEP_MARKER <= now:
            old.append(self._markers.popleft()[1])
        if old:
            effects.append(Ack(old))
        for join in self._joins.values():
            late = join.born + self._ttl <= now
            if self._passed and late and join.stage is _Stage.GATHERING:
                join.stage = _Stage.FOLLOWING
                effects.append(Abandon(join.id, join.opened, len(join.values), list(join.tokens)))
        return effects

    def lost(self) -> None:
        """The channel ended: all that was not acked comes again, here or elsewhere."""
        self._fence, self._passed = None, False
        self._markers.clear()
        for join in list(self._joins.values()):
            join.tokens.clear()
            if join.stage is _Stage.GATHERING:
                del self._joins[join.id]

    def release(self) -> list[T]:
        """All that is held, to be handed back; nothing is held after that."""
        held = [token for join in self._joins.values() for token in join.tokens]
        held += [token for _, token in self._markers]
        self.lost()
        return held
