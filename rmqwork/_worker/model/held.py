"""A delivery that this worker holds, from its arrival to its settlement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from time import time

from rmqwork._messages import headers as names
from rmqwork._topology.topology import suspects_queue
from rmqwork._worker.model.workflow import Carried
from rmqwork.types import Delivery


class Stage(Enum):
    """Where a held delivery is."""

    READY = "ready"
    """In this process, not given to an executor."""
    WAITING = "waiting"
    """Of a partition: its next attempt is not due yet, and nothing overtakes it."""
    SENT = "sent"
    """With an executor, which may have started it."""
    FINISHED = "finished"
    """Its outcome is here; being settled."""


Key = tuple[str, str, int, int, int]
"""What makes two deliveries the same run of the same message: queue, id, attempt, replay count,
hash of the body and the run."""


@dataclass(slots=True, eq=False)
class HeldDelivery:
    """A delivery with the worker's own number and what is known of it.

    Args:
        number: unique in the life of this worker.
        delivery: what the broker gave; replaced when the message comes again after its channel
            was lost while the task ran.
        queue: the app's queue; ``delivery.queue`` may be its ``.due`` or ``.suspects`` queue.
        task_id: the message's id, or one made up for a message without.
        attempt: from 1.
        lane: where it runs: ``thread`` or ``async``.
        alone: whether it is to run in a process without others.
        carried: the workflow that it is of, if any; known after triage.
        partition: the partition that it came from; None = its queue has none.
        suspected: whether it may have killed what held it, and is to run alone therefore.
    """

    number: int
    delivery: Delivery
    queue: str
    task_id: str
    attempt: int
    lane: str = ""
    stage: Stage = Stage.READY
    alone: bool = False
    carried: Carried | None = None
    partition: str | None = None
    suspected: bool = False

    @property
    def home(self) -> str:
        """The broker's queue that it belongs to: its partition, or its queue."""
        return self.partition or self.queue

    @property
    def settleable(self) -> bool:
        """Whether its channel still stands."""
        return self.delivery.channel.is_open

    @property
    def came_before(self) -> bool:
        """Whether this may be a second delivery of the same run: the broker says so, or a worker
        has moved it to the suspects queue (a publish, which the broker takes for a new message).
        """
        return self.delivery.redelivered or self.delivery.queue == suspects_queue(self.queue)

    @property
    def key(self) -> Key | None:
        """What its redelivery is known by; None for a message without an id of its own."""
        message_id = self.delivery.message_id
        if not message_id:
            return None
        replay = number_header(self.delivery, names.REPLAY, 0)
        # As delivered: in a partition, further attempts are made in place.
        attempt = self.attempt if self.partition is None else attempt_of(self.delivery)
        run = self.delivery.headers.get(names.RUN)
        body = self.delivery.body
        same = hash(body) if run is None else hash((body, str(run)))
        return (self.home, message_id, attempt, replay, same)


def number_header(delivery: Delivery, name: str, default: int) -> int:
    """A header that holds an integer; the default when it is absent or something else."""
    value = delivery.headers.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def attempt_of(delivery: Delivery) -> int:
    """Which attempt a delivery is, from 1."""
    return max(1, number_header(delivery, names.ATTEMPT, 1))


def expired(delivery: Delivery) -> bool:
    """Whether the message must not start any more."""
    at = number_header(delivery, names.EXPIRES_AT, 0)
    return at > 0 and at <= time() * 1000
