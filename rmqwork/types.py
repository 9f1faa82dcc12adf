"""The values that travel between the layers; no I/O.

A message goes ``task -> Publication -> transport -> Delivery -> executor -> Outcome -> settle``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

Header = str | int | bool
"""What a header of ours may hold: text, a 64-bit integer or a truth value (no floats: AMQP 0-9-1
clients disagree about them)."""

Headers = Mapping[str, object]
"""The headers of a message as they arrived: whatever a foreign producer has put there."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One message on its way to the broker.

    Args:
        exchange: its exchange; the empty string is the default exchange (routes by queue name).
        routing_key: at most 255 bytes.
        body: bytes as they go over the wire.
        message_id: the task's id.
        type: the task's name, or None for messages that are no tasks.
        headers: small; all properties must fit one frame.
        due: when it is to be delivered, in seconds since the epoch; None = now. A message with a
            due time travels through the delay queues.
    """

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    type: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    due: float | None = None
    priority: int | None = None
    content_type: str | None = "application/json"
    content_encoding: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    timestamp: int | None = None
    app_id: str | None = None

    @classmethod
    def copy_of(
        cls,
        delivery: Delivery,
        exchange: str,
        routing_key: str,
        *,
        message_id: str,
        headers: Mapping[str, object],
        due: float | None = None,
    ) -> Publication:
        """Return the message of a delivery for another route: the same body and properties.

        Args:
            delivery: the message as it arrived.
            exchange: the copy's exchange.
            routing_key: the copy's routing key.
            message_id: the copy's id, for the delivery may have none.
            headers: all headers of the copy.
            due: when it is to be delivered, in seconds since the epoch; None = now.
        """
        return cls(
            exchange,
            routing_key,
            delivery.body,
            message_id,
            delivery.type,
            headers,
            due,
            delivery.priority,
            delivery.content_type,
            delivery.content_encoding,
            delivery.correlation_id,
            delivery.reply_to,
            delivery.timestamp,
            delivery.app_id,
        )


class Verdict(Enum):
    """What became of a publication."""

    CONFIRMED = "confirmed"
    """The broker has it, and answers for it."""
    RETURNED = "returned"
    """No queue for its route."""
    NACKED = "nacked"
    """A queue refused it: full."""
    REFUSED = "refused"
    """The broker will never take it: too large, or this user may not write there."""
    LOST = "lost"
    """The connection or channel ended before an answer: unknown."""


class SettleChannel(Protocol):
    """The channel that a delivery came on, as far as the delivery is concerned."""

    @property
    def is_open(self) -> bool:
        """Whether its deliveries can still be settled."""
        ...

    def ack(self, delivery: Delivery) -> None:
        """Settle a delivery for good."""

    def nack(self, delivery: Delivery) -> None:
        """Hand a delivery back to its queue, without blame where the broker can tell."""

    async def synced(self) -> None:
        """Return when the broker has processed all that was settled before; raise when not."""


@dataclass(slots=True)
class Delivery:
    """One message that the broker has handed to us, and that we have to settle.

    ``channel`` is the consume channel that it came on, and the only one on which it can be
    settled; ``tag`` is its delivery tag there.
    """

    channel: SettleChannel
    tag: int
    queue: str
    exchange: str
    routing_key: str
    redelivered: bool
    body: bytes
    headers: Headers
    message_id: str | None
    type: str | None
    content_type: str | None
    content_encoding: str | None
    correlation_id: str | None
    reply_to: str | None
    priority: int | None
    timestamp: int | None
    app_id: str | None


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers at the other end of a connection."""

    product: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))}"


class TaskControl(BaseException):
    """What a task raises to steer its own message.

    A `BaseException`, so that ``except Exception`` in user code does not turn it into a success.
    """


class Reject(TaskControl):
    """Send the message to the dead-letter queue now, without another attempt.

    Args:
        reason: shown with the dead letter.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryLater(TaskControl):
    """Run the task again after a while.

    A task without a retry policy may be run again as often as ``Retry()`` allows.

    Args:
        seconds: the delay, which is spent in the broker; None = what the task's policy says.
        count: whether this run counts as an attempt (False: try for as long as it takes).
        reason: shown in the log and, at last, with the dead letter.
    """

    def __init__(self, seconds: float | None = 0.0, count: bool = True, reason: str = "") -> None:
        when = "by the task's policy" if seconds is None else f"in {seconds} s"
        super().__init__(reason or f"retry {when}")
        self.seconds = seconds
        self.count = count
        self.reason = reason


class Replace(TaskControl):
    """Run something else in the place of this task: ``return ctx.replace(signature)``.

    Args:
        signature: what is to run.
        task_id: of the task that is replaced.
    """

    def __init__(self, signature: object, task_id: str) -> None:
        super().__init__(f"replace {task_id} by {signature!r}")
        self.signature = signature
        self.task_id = task_id


class TimeLimitReached(BaseException):
    """Raised in a task that has run for its time limit.

    A `BaseException`, so that ``except Exception`` in user code does not turn it into a success.
    """


class Reason(StrEnum):
    """Why a message is in a dead-letter queue: the values of ``rmqwork-error-reason``."""

    FAILED = "failed"
    REJECTED = "rejected"
    INVALID_MESSAGE = "invalid-message"
    UNKNOWN_TASK = "unknown-task"
    EXPIRED = "expired"
    WORKER_CRASHED = "worker-crashed"
    TIME_LIMIT = "time-limit"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What went wrong, as it is kept with a dead letter and shown in a log line.

    Args:
        type: the exception's class, qualified unless builtin: ``ValueError``, ``shop.Busy``.
        message: the exception's text.
        traceback: the formatted traceback, or an empty string.
        facts: more headers of the dead letter, with their values.
    """

    type: str
    message: str
    traceback: str = ""
    facts: tuple[tuple[str, str | int], ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Success:
    """The task ran to its end. ``result`` is its encoded value; None: nobody wants it."""

    duration: float
    result: bytes | None = None


@dataclass(frozen=True, slots=True)
class RetryOutcome:
    """The task is to run again after ``delay`` seconds; ``counts``: an attempt is spent."""

    duration: float
    delay: float
    counts: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Failure:
    """The message goes to the dead-letter queue for ``reason``."""

    duration: float
    reason: Reason
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Replaced:
    """The task has put something else in its place.

    Args:
        duration: seconds that it ran.
        node: what runs instead, frozen, as JSON; its last task has the id of the replaced one.
    """

    duration: float
    node: bytes


Outcome = Success | RetryOutcome | Failure | Replaced
"""What an executor reports of one delivery."""
