"""A delivery that this worker holds, from its arrival to its settlement."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from time import time

from rmqwork._messages import headers as names
from rmqwork._messages.history import HISTORY
from rmqwork._topology.topology import suspects_queue
from rmqwork._worker.model.workflow import Carried
from rmqwork.types import Delivery, Headers


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


class WrongStage(RuntimeError):
    """A held delivery cannot go from its stage to the one that was asked for: a fault of ours."""


@dataclass(slots=True, eq=False)
class HeldDelivery:
    """A delivery with the worker's own number and what is known of it: the one place of its state.

    Rooms read the fields; they change them by the verbs alone, which check the stage. The delivery
    itself is a value, and is replaced, never changed.

    Args:
        number: unique in the life of this worker; a further attempt in place has another one.
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
        from_suspects: whether it came from its queue's suspects queue.
        continued: whether its message goes on as a copy that nobody can tell from it.
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
    continued: bool = False
    from_suspects: bool = field(init=False)

    def __post_init__(self) -> None:
        source = self.delivery.queue
        # Most come from the queue itself: then no name needs to be made.
        self.from_suspects = source != self.queue and source == suspects_queue(self.queue)

    # ── its way ───────────────────────────────────────────────────────────────────────────────

    def await_executor(self, *, alone: bool | None = None) -> None:
        """Be ready to run, again or at last.

        Args:
            alone: True to run in a process without others; None = as before.
        """
        self._must_be_open()
        self.stage = Stage.READY
        if alone is not None:
            self.alone = alone

    def await_attempt(self) -> None:
        """Wait in its partition until its next attempt is due."""
        self._must_be_open()
        self.stage = Stage.WAITING

    def send(self) -> None:
        """Be with an executor.

        Raises:
            WrongStage: it is not ready to run.
        """
        if self.stage is not Stage.READY:
            raise WrongStage(f"{self.task_id} is {self.stage.value}: it cannot be sent")
        self.stage = Stage.SENT

    def finish(self, *, continued: bool = False) -> None:
        """Be settled: there is no way back.

        Args:
            continued: whether its message goes on as a copy of the same id and attempt.
        """
        self.stage = Stage.FINISHED
        self.continued = continued

    def _must_be_open(self) -> None:
        if self.stage is Stage.FINISHED:
            raise WrongStage(f"{self.task_id} is being settled: it cannot run again")

    # ── what is learned of it ─────────────────────────────────────────────────────────────────

    def suspect(self) -> None:
        """Run alone from now on: it may have killed what held it."""
        self.suspected = True

    def note(self, headers: Headers) -> None:
        """Have further headers, which only this worker knows of."""
        self.delivery = replace(self.delivery, headers={**self.delivery.headers, **headers})

    def begin_attempt(self, headers: Headers) -> None:
        """Be one attempt further, with headers that tell of those before."""
        self.note(headers)
        self.attempt += 1

    def renumber(self, number: int) -> None:
        """Have another number: what is still said of the old one is not of this run."""
        self._must_be_open()
        self.number = number

    def adopt(self, delivery: Delivery) -> None:
        """Go on with the delivery that has come now, after the channel of the old one was lost."""
        known = self.delivery.headers.get(HISTORY)
        self.delivery = delivery
        if self.partition is not None and known is not None:
            self.note({HISTORY: known})

    # ── what follows from it ──────────────────────────────────────────────────────────────────

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
        return self.delivery.redelivered or self.from_suspects

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
