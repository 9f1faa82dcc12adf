"""Declare a plan on a broker in memory, and compare it with what is there, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from rmqwork._topology.differences import Difference, printed, usable
from rmqwork._topology.topology import Bind, Declaration, DeclareExchange, DeclareQueue
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.exchanges import Binding, MemoryExchange
from rmqwork._transport.memory.message import plain
from rmqwork._transport.memory.permissions import Rights
from rmqwork._transport.memory.queues import MemoryQueue
from rmqwork._transport.memory.streams import MemoryStream
from rmqwork._transport.port import ChannelClosed
from rmqwork.errors import ConfigurationError

_ACCESS_REFUSED: Final = 403
_PRECONDITION_FAILED: Final = 406
_EXCHANGE_TYPES: Final = ("direct", "topic", "fanout", "headers")
_COMPARED: Final = (
    "x-queue-type",
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-max-priority",
    "x-single-active-consumer",
    "x-consumer-timeout",
    "x-queue-leader-locator",
    "x-stream-max-segment-size-bytes",
    "x-quorum-initial-group-size",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
)
"""The arguments of a queue that RabbitMQ 4.3 knows, and so compares; others it ignores."""
_CLASSIC_ONLY: Final = ("x-max-priority",)
_QUORUM_ONLY: Final = ("x-delivery-limit", "x-dead-letter-strategy", "x-consumer-timeout")
_FOREIGN: Final[Mapping[object, tuple[str, ...]]] = {
    "classic": _QUORUM_ONLY,
    "stream": ("x-message-ttl", *_QUORUM_ONLY),
}


def declare(broker: MemoryBroker, rights: Rights, plan: Sequence[Declaration]) -> list[Difference]:
    """Make what the plan says; see `rmqwork._transport.port.Link.declare`."""
    with broker.at_work():
        found = [one for declaration in plan for one in _declare(broker, rights, declaration)]
    return usable(found)


def missing(broker: MemoryBroker, plan: Sequence[Declaration]) -> list[Declaration]:
    """Which exchanges and queues of a plan do not exist; see the port."""
    with broker.at_work():
        return [declaration for declaration in plan if not _exists(broker, declaration)]


def _declare(broker: MemoryBroker, rights: Rights, declaration: Declaration) -> list[Difference]:
    try:
        match declaration:
            case DeclareExchange():
                rights.check(rights.configure, "exchange", declaration.name)
                return _exchange(broker, declaration)
            case DeclareQueue():
                rights.check(rights.configure, "queue", declaration.name)
                return _queue(broker, declaration)
            case Bind():
                kind = "exchange" if declaration.to_exchange else "queue"
                rights.check(rights.write, kind, declaration.destination)
                rights.check(rights.read, "exchange", declaration.source)
                _bind(broker, declaration)
                return []
    except ChannelClosed as closed:
        if closed.code == _ACCESS_REFUSED and _exists(broker, declaration):
            return []
        raise _refused(closed, declaration) from closed


def _exchange(broker: MemoryBroker, wanted: DeclareExchange) -> list[Difference]:
    there = broker.exchanges.get(wanted.name)
    if there is not None:
        found = _differences(
            "exchange", wanted.name, {"type": wanted.type}, {"type": there.type}, ("type",)
        )
        return found + _differences(
            "exchange", wanted.name, wanted.arguments, there.arguments, ("alternate-exchange",)
        )
    if wanted.type not in _EXCHANGE_TYPES:
        raise ChannelClosed(_PRECONDITION_FAILED, f"PRECONDITION_FAILED - no type '{wanted.type}'")
    exchange = MemoryExchange(wanted.name, wanted.type, _copy(wanted.arguments))
    broker.exchanges[wanted.name] = exchange
    return []


def _queue(broker: MemoryBroker, wanted: DeclareQueue) -> list[Difference]:
    ours = {"x-queue-type": "classic", **_copy(wanted.arguments)}
    there = broker.queues.get(wanted.name)
    if there is not None:
        return _differences("queue", wanted.name, ours, there.arguments, _COMPARED)
    _check_arguments(wanted.name, ours)
    made = MemoryStream if ours["x-queue-type"] == "stream" else MemoryQueue
    broker.queues[wanted.name] = made(wanted.name, ours, broker)
    return []


def _check_arguments(queue: str, arguments: Mapping[str, object]) -> None:
    """See that RabbitMQ would make such a queue.

    Raises:
        ChannelClosed: it would not (406).
    """
    kind = arguments["x-queue-type"]
    for name in _FOREIGN.get(kind, _CLASSIC_ONLY):
        if name in arguments:
            raise _invalid(queue, name, f"of queue type rabbit_{kind}_queue")
    if kind not in ("classic", "quorum", "stream"):
        raise _invalid(queue, "x-queue-type", f"unsupported queue type '{kind}'")
    for name in ("x-message-ttl", "x-max-length", "x-max-length-bytes", "x-max-priority"):
        value = arguments.get(name, 0)
        if not isinstance(value, int) or value < 0 or (name == "x-max-priority" and value > 255):
            raise _invalid(queue, name, f"{{value_out_of_range,{value}}}")
    overflow = arguments.get("x-overflow", "drop-head")
    if overflow not in ("drop-head", "reject-publish", "reject-publish-dlx"):
        raise _invalid(queue, "x-overflow", "invalid_overflow")


def _invalid(queue: str, name: str, why: str) -> ChannelClosed:
    text = f"PRECONDITION_FAILED - invalid arg '{name}' for queue '{queue}' in vhost '/': {why}"
    return ChannelClosed(_PRECONDITION_FAILED, text)


def _bind(broker: MemoryBroker, wanted: Bind) -> None:
    source = broker.exchanges.find(wanted.source)
    if wanted.to_exchange:
        broker.exchanges.find(wanted.destination)
    else:
        broker.find(wanted.destination)
    arguments = tuple(_copy(wanted.arguments).items())
    binding = Binding(wanted.destination, wanted.to_exchange, wanted.routing_key, arguments)
    source.bindings[binding] = None


def _differences(
    kind: Literal["queue", "exchange"],
    name: str,
    ours: Mapping[str, object],
    theirs: Mapping[str, object],
    compared: Sequence[str],
) -> list[Difference]:
    return [
        Difference(kind, name, key, printed(ours.get(key)), printed(theirs.get(key)))
        for key in compared
        if ours.get(key) != theirs.get(key)
    ]


def _copy(arguments: Mapping[str, object]) -> dict[str, object]:
    return {key: plain(value) for key, value in arguments.items()}


def _exists(broker: MemoryBroker, declaration: Declaration) -> bool:
    match declaration:
        case DeclareExchange(name):
            return name in broker.exchanges
        case DeclareQueue(name):
            return name in broker.queues
        case Bind():
            return True


def _refused(closed: ChannelClosed, declaration: Declaration) -> ConfigurationError:
    match declaration:
        case DeclareExchange(name) | DeclareQueue(name):
            what = f"{name!r}"
        case Bind(source, destination, routing_key):
            what = f"the binding {source!r} -> {destination!r} ({routing_key!r})"
    hint = ""
    if closed.code == _ACCESS_REFUSED:
        hint = "; give this user the configure right, or let another user declare it"
    return ConfigurationError(f"the broker refused to declare {what}: {closed.text}{hint}")
