"""Exchanges, queues and bindings as values, and the list of declarations that they come to.

Nothing here talks to a broker. The arguments of a queue come from its `Queue` alone, so that a
publisher, which may not know the tasks, declares the same as a worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from rmqwork._topology.kill_switch import KillSwitch
from rmqwork._topology.naming import check_above_0, check_name
from rmqwork._topology.partitions import (
    Partitioning,
    check_key,
    check_partitions,
    partition_of,
    partition_queues,
)
from rmqwork.errors import ConfigurationError

TASKS_EXCHANGE: Final = "rmqwork.tasks"
"""The topic exchange that tasks go through unless the app says otherwise."""
RETURN_EXCHANGE: Final = "rmqwork.return"
"""The direct exchange by which a delayed message returns to a queue, by the queue's name."""
UNROUTABLE: Final = "rmqwork.unroutable"
"""The exchange and the queue that catch what can return nowhere."""

QueueType = Literal["quorum", "classic"]
ExchangeType = Literal["topic", "direct", "fanout", "headers"]

_DELIVERY_LIMIT: Final = 1_000_000
_OURS: Final = (
    UNROUTABLE,
    RETURN_EXCHANGE,
    "rmqwork.delay.",
    "rmqwork.joins.",
    "rmqwork.control",
)


def dead_letter_queue(queue: str) -> str:
    """The name of a queue's dead-letter queue."""
    return f"{queue}.dlq"


def due_queue(queue: str) -> str:
    """The name of the unbounded queue beside a bounded one that takes what returns to it."""
    return f"{queue}.due"


def suspects_queue(queue: str) -> str:
    """The name of the queue for messages whose consumers keep dying."""
    return f"{queue}.suspects"


def due_exchange(exchange: str) -> str:
    """The name of the twin of an exchange by which delayed first publishes come back."""
    return f"{exchange}.due"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange.

    Args:
        name: at most 255 bytes; the ``amq.`` prefix is the broker's own.
        type: ``topic`` (default), ``direct``, ``fanout`` or ``headers``.
        alternate: the name of its alternate exchange, for messages that it cannot route.
        arguments: further arguments of the declaration.
    """

    name: str
    type: ExchangeType = "topic"
    alternate: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("exchange", self.name)
        if self.type not in ("topic", "direct", "fanout", "headers"):
            raise ConfigurationError(
                f"exchange {self.name!r}: unknown type {self.type!r}; "
                "use topic, direct, fanout or headers"
            )

    def declared_arguments(self) -> dict[str, object]:
        """The arguments as they go to the broker."""
        arguments = dict(self.arguments)
        if self.alternate is not None:
            arguments["alternate-exchange"] = self.alternate
        return arguments


@dataclass(frozen=True, slots=True)
class Binding:
    """What leads from an exchange into a queue.

    Args:
        exchange: the exchange, or the name of one of the app's.
        routing_key: the key or, on a topic exchange, the pattern (``images.*``, ``#``).
        arguments: for a headers exchange, the headers to match (``x-match`` among them).
    """

    exchange: Exchange | str
    routing_key: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)

    @property
    def exchange_name(self) -> str:
        """The name of the exchange."""
        return self.exchange if isinstance(self.exchange, str) else self.exchange.name


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue with its dead-letter queue ``<name>.dlq``.

    Args:
        name: at most 240 bytes (room for the names made from it).
        type: ``quorum`` (default, replicated, safe) or ``classic``.
        bindings: where its messages come from, besides the default ``rmqwork.tasks`` by its name.
        max_length: messages at most; a publish beyond raises `Nacked`. None = no limit.
        max_length_bytes: bytes of bodies at most, likewise.
        max_priority: classic queues: the number of priorities (1 to 255). Quorum queues on
            RabbitMQ 4.x have priorities without it.
        message_ttl: seconds after which a waiting message goes to the dead-letter queue.
        kill_switch: when workers are to take less from it, because its tasks fail.
        partitions: the number of queues ``<name>.0`` … that it consists of, for work in order;
            each is worked on one message at a time.
        partition_key: the field whose value chooses the partition, for messages whose task does
            not name one.
        arguments: further ``x-`` arguments of the declaration.
    """

    name: str
    type: QueueType = "quorum"
    bindings: Sequence[Binding] = ()
    max_length: int | None = None
    max_length_bytes: int | None = None
    max_priority: int | None = None
    message_ttl: float | None = None
    kill_switch: KillSwitch | None = None
    partitions: int | None = None
    partition_key: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("queue", self.name, room=15)
        if self.type not in ("quorum", "classic"):
            raise ConfigurationError(
                f"queue {self.name!r}: unknown type {self.type!r}; use 'quorum' or 'classic'"
            )
        for name in ("max_length", "max_length_bytes", "message_ttl"):
            check_above_0(self.name, name, getattr(self, name))
        if not isinstance(self.kill_switch, KillSwitch | None):
            raise ConfigurationError(
                f"queue {self.name!r}: kill_switch is a KillSwitch(...), not {self.kill_switch!r}"
            )
        if self.max_priority is not None:
            if self.type == "quorum":
                raise ConfigurationError(
                    f"queue {self.name!r}: quorum queues take no max_priority (RabbitMQ 4.x gives "
                    "them priorities anyway); leave it out, or use type='classic'"
                )
            if self.max_priority not in range(1, 256):
                raise ConfigurationError(f"queue {self.name!r}: max_priority must be 1 to 255")
        object.__setattr__(self, "bindings", _bindings(self.name, self.bindings))
        self._check_partitions()

    def _check_partitions(self) -> None:
        check_key(self.partition_key, f"queue {self.name!r}")
        if self.partitions is not None:
            forbidden = {
                "type='classic'": self.type != "quorum" and "only a quorum queue keeps order",
                "bindings": self.bindings and "the publisher chooses the partition",
                "max_length": self.bounded and "what returns would go beside the others",
                "kill_switch": self.kill_switch and "a partition waits for its first message",
            }
            check_partitions(self.name, self.partitions, forbidden)
        elif self.partition_key is not None:
            raise ConfigurationError(
                f"queue {self.name!r}: partition_key is for partitions=…, which it has not"
            )

    def partition_of(self, key: str | int) -> int:
        """Return the number of the partition that a key leads to.

        It is the same in every process, version and language: the first 8 bytes of SHA-256 of the
        key's UTF-8 text, as an unsigned big-endian number, modulo the number of partitions.

        Args:
            key: a text or an integer; 7 and ``"7"`` are one key.

        Raises:
            ConfigurationError: the queue has no partitions.
        """
        if self.partitions is None:
            raise ConfigurationError(
                f"queue {self.name!r} has no partitions: give it Queue({self.name!r}, partitions=…)"
            )
        return partition_of(key, self.partitions)

    @property
    def partitioning(self) -> Partitioning | None:
        """How it chooses among its partitions; None: it has none."""
        if self.partitions is None:
            return None
        return Partitioning(self.name, self.partitions, self.partition_key)

    @property
    def bounded(self) -> bool:
        """Whether a publish to it can be refused because it is full."""
        return (
            self.max_length is not None
            or self.max_length_bytes is not None
            or "x-max-length" in self.arguments
            or "x-max-length-bytes" in self.arguments
        )

    def declared_arguments(self) -> dict[str, object]:
        """The arguments as they go to the broker."""
        arguments: dict[str, object] = {
            "x-queue-type": self.type,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead_letter_queue(self.name),
        }
        if self.type == "quorum":
            arguments["x-dead-letter-strategy"] = "at-least-once"
            arguments["x-overflow"] = "reject-publish"
            arguments["x-delivery-limit"] = _DELIVERY_LIMIT
        elif self.bounded:
            arguments["x-overflow"] = "reject-publish"
        if self.max_length is not None:
            arguments["x-max-length"] = self.max_length
        if self.max_length_bytes is not None:
            arguments["x-max-length-bytes"] = self.max_length_bytes
        if self.max_priority is not None:
            arguments["x-max-priority"] = self.max_priority
        if self.partitions is not None:
            arguments["x-single-active-consumer"] = True
        if self.message_ttl is not None:
            arguments["x-message-ttl"] = int(self.message_ttl * 1000)
        arguments.update(self.arguments)
        return arguments

    def needed(self) -> tuple[str, ...]:
        """The names of all queues that are declared for it."""
        return (*self.consumed(), dead_letter_queue(self.name))

    def consumed(self) -> tuple[str, ...]:
        """The names of the queues that a worker for this queue reads, the main one first."""
        if self.partitions is not None:
            return partition_queues(self.name, self.partitions)
        names = [self.name]
        if self.bounded:
            names.append(due_queue(self.name))
        if self.type == "quorum":
            names.append(suspects_queue(self.name))
        return tuple(names)


def _bindings(queue: str, given: object) -> tuple[Binding, ...]:
    several = given if isinstance(given, Iterable) else (given,)
    return tuple(_binding(queue, one) for one in several)


def _binding(queue: str, given: object) -> Binding:
    if not isinstance(given, Binding):
        raise ConfigurationError(
            f"queue {queue!r}: bindings are Binding(exchange, routing_key), not {given!r}"
        )
    return given


def _check_clashes(queues: Iterable[Queue], exchanges: Iterable[Exchange]) -> None:
    """What the names that are made from other names would run into."""
    taken: dict[tuple[str, str], str] = {}
    wanted = [("queue", name, f"queue {q.name!r}") for q in queues for name in q.needed()]
    wanted += [
        ("exchange", name, f"exchange {e.name!r}")
        for e in exchanges
        for name in (e.name, due_exchange(e.name))
    ]
    for kind, name, owner in wanted:
        if name.startswith(_OURS):
            raise ConfigurationError(f"{owner}: the name is taken by rmqwork itself; rename it")
        other = taken.setdefault((kind, name), owner)
        if other != owner:
            raise ConfigurationError(
                f"{other} and {owner} both need the {kind} {name!r}; rename one"
            )


# ── declarations ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DeclareExchange:
    """Make an exchange, or find it with the same properties."""

    name: str
    type: ExchangeType
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclareQueue:
    """Make a durable queue, or find it with the same properties."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bind:
    """Lead messages from an exchange into a queue, or into another exchange."""

    source: str
    destination: str
    routing_key: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)
    to_exchange: bool = False


Declaration = DeclareExchange | DeclareQueue | Bind


_LENGTHS: Final = frozenset({"x-max-length", "x-max-length-bytes"})


def _without(arguments: Mapping[str, object], dropped: frozenset[str]) -> dict[str, object]:
    return {key: value for key, value in arguments.items() if key not in dropped}


def _unlimited_quorum() -> dict[str, object]:
    return {"x-queue-type": "quorum", "x-delivery-limit": _DELIVERY_LIMIT}


def return_declarations() -> list[Declaration]:
    """What every queue's returns need: the exchange ``rmqwork.return`` and its safety net."""
    return [
        DeclareExchange(UNROUTABLE, "fanout"),
        DeclareQueue(UNROUTABLE, _unlimited_quorum()),
        Bind(UNROUTABLE, UNROUTABLE),
        DeclareExchange(RETURN_EXCHANGE, "direct", {"alternate-exchange": UNROUTABLE}),
    ]


def queue_plan(queue: Queue) -> list[Declaration]:
    """The declarations of one queue: itself, its dead-letter queue, its way back, its bindings.

    The exchanges of its bindings must have been declared before.
    """
    arguments = queue.declared_arguments()
    letters = DeclareQueue(dead_letter_queue(queue.name), _unlimited_quorum())
    if queue.partitions is not None:
        return [letters, *_partitions_plan(queue.consumed(), arguments)]
    plan: list[Declaration] = [letters, DeclareQueue(queue.name, arguments)]
    if queue.type == "quorum":
        suspects = suspects_queue(queue.name)
        plan.append(DeclareQueue(suspects, _without(arguments, _LENGTHS | {"x-message-ttl"})))
        plan.append(Bind(RETURN_EXCHANGE, suspects, suspects))
    back = queue.name
    if queue.bounded:
        back = due_queue(queue.name)
        plan.append(DeclareQueue(back, _without(arguments, _LENGTHS)))
    plan.append(Bind(RETURN_EXCHANGE, back, queue.name))
    for binding in (Binding(TASKS_EXCHANGE, queue.name), *queue.bindings):
        source = binding.exchange_name
        plan.append(Bind(source, queue.name, binding.routing_key, binding.arguments))
        plan.append(Bind(due_exchange(source), back, binding.routing_key, binding.arguments))
    return plan


def _partitions_plan(names: Iterable[str], arguments: Mapping[str, object]) -> list[Declaration]:
    """The partitions of a queue: each has its way in and its ways back."""
    plan: list[Declaration] = []
    sources = (RETURN_EXCHANGE, TASKS_EXCHANGE, due_exchange(TASKS_EXCHANGE))
    for name in names:
        plan += [DeclareQueue(name, arguments), *(Bind(source, name, name) for source in sources)]
    return plan


def exchange_plan(exchange: Exchange) -> list[Declaration]:
    """The declarations of one exchange and of its twin for delayed publishes.

    Source of the twin: an alternate exchange catches only what the exchange itself cannot route,
    never what a binding to another exchange cannot; and the delay queues stall on a message that
    no queue takes.
    """
    twin = due_exchange(exchange.name)
    twin_arguments = {"alternate-exchange": UNROUTABLE, **exchange.declared_arguments()}
    return [
        DeclareExchange(exchange.name, exchange.type, exchange.declared_arguments()),
        DeclareExchange(twin, exchange.type, twin_arguments),
    ]


def app_declarations(
    queues: Iterable[Queue], exchanges: Iterable[Exchange] = ()
) -> list[Declaration]:
    """All declarations of an app, in an order in which each finds what it refers to."""
    queues = list(queues)
    known = {TASKS_EXCHANGE: Exchange(TASKS_EXCHANGE, "topic")}
    named = list(exchanges)
    named += [b.exchange for q in queues for b in q.bindings if isinstance(b.exchange, Exchange)]
    for exchange in named:
        other = known.setdefault(exchange.name, exchange)
        if other != exchange:
            raise ConfigurationError(
                f"exchange {exchange.name!r} is described twice, differently: "
                f"{other} and {exchange}"
            )
    for queue in queues:
        for binding in queue.bindings:
            if binding.exchange_name not in known:
                raise ConfigurationError(
                    f"queue {queue.name!r} is bound to exchange {binding.exchange_name!r}, which "
                    "the app does not name; add it to App(exchanges=[...])"
                )
    _check_clashes(queues, known.values())
    plan = return_declarations()
    for exchange in known.values():
        plan += exchange_plan(exchange)
    for queue in queues:
        plan += queue_plan(queue)
    return plan
