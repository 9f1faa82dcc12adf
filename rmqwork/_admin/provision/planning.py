"""What it takes to bring a virtual host to an app's topology: pure values, nothing is done here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from rmqwork._admin.provision.found import Found, FoundExchange, FoundQueue
from rmqwork._topology.delays import DUE_EXCHANGE
from rmqwork._topology.differences import Difference, printed
from rmqwork._topology.topology import (
    Bind,
    Declaration,
    DeclareExchange,
    DeclareQueue,
    dead_letter_queue,
    due_exchange,
    due_queue,
    suspects_queue,
)

_REPLIES: Final = "rmqwork.replies."
_TWIN: Final = due_exchange("")
_LADDER: Final = DUE_EXCHANGE.removesuffix(_TWIN)


@dataclass(frozen=True, slots=True)
class Unused:
    """An object that hangs on the app's exchanges or queues, and is not the app's.

    Args:
        kind: ``queue``, ``exchange`` or ``binding``.
        name: of it; of a binding as people read it.
        why: how it was found.
        messages: that a queue holds.
        consumers: that a queue has.
        binding: the binding, if it is one.
    """

    kind: Literal["queue", "exchange", "binding"]
    name: str
    why: str
    messages: int = 0
    consumers: int = 0
    binding: Bind | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``apply`` would do, and what it cannot do.

    Args:
        create: exchanges and queues that are missing.
        bind: bindings that are missing.
        differs: properties in which what exists is not what the app says.
        unused: what the app does not need any more, or another app does.
        unknown: what could not be looked at, in words.
    """

    create: Sequence[DeclareExchange | DeclareQueue] = ()
    bind: Sequence[Bind] = ()
    differs: Sequence[Difference] = ()
    unused: Sequence[Unused] = ()
    unknown: Sequence[str] = field(default=())

    @property
    def to_do(self) -> int:
        """How many steps ``apply`` would take."""
        return len(self.create) + len(self.bind)


def make_plan(declarations: Sequence[Declaration], found: Found) -> Plan:
    """Compare an app's declarations with what a virtual host has."""
    create: list[DeclareExchange | DeclareQueue] = []
    bind: list[Bind] = []
    differs: list[Difference] = []
    for declaration in declarations:
        match declaration:
            case DeclareExchange() as exchange:
                there = found.exchanges.get(exchange.name)
                if there is None:
                    create.append(exchange)
                else:
                    differs += compare_exchange(exchange, there)
            case DeclareQueue() as queue:
                had = found.queues.get(queue.name)
                if had is None:
                    create.append(queue)
                else:
                    differs += compare_queue(queue, had)
            case Bind() as binding:
                if binding not in found.bindings and binding not in bind:
                    bind.append(binding)
    return Plan(create, bind, differs, unused(declarations, found))


def compare_queue(ours: DeclareQueue, theirs: FoundQueue) -> list[Difference]:
    """Field by field; a policy is no argument and is not compared."""
    wanted = {"x-queue-type": "classic", **ours.arguments}
    had = {**theirs.arguments, "x-queue-type": theirs.type}
    fields = [("durable", True, theirs.durable), ("auto_delete", False, theirs.auto_delete)]
    fields += [("exclusive", False, theirs.exclusive)]
    return _differences("queue", ours.name, fields, wanted, had)


def compare_exchange(ours: DeclareExchange, theirs: FoundExchange) -> list[Difference]:
    """Field by field."""
    fields: list[tuple[str, object, object]] = [
        ("type", ours.type, theirs.type),
        ("durable", True, theirs.durable),
        ("auto_delete", False, theirs.auto_delete),
        ("internal", False, theirs.internal),
    ]
    return _differences("exchange", ours.name, fields, ours.arguments, theirs.arguments)


def _differences(
    kind: Literal["queue", "exchange"],
    name: str,
    fields: Sequence[tuple[str, object, object]],
    ours: Mapping[str, object],
    theirs: Mapping[str, object],
) -> list[Difference]:
    keys = sorted({*ours, *theirs})
    pairs = [*fields, *((key, ours.get(key), theirs.get(key)) for key in keys)]
    return [
        Difference(kind, name, key, printed(mine), printed(his))
        for key, mine, his in pairs
        if mine != his
    ]


# ── what is there and not needed ──────────────────────────────────────────────────────────────


def unused(declarations: Sequence[Declaration], found: Found) -> list[Unused]:
    """What hangs on the app's exchanges and queues and is not in its declarations.

    It may belong to another app of the same virtual host: nothing here is ever deleted by
    ``apply``.
    """
    queues = {one.name for one in declarations if isinstance(one, DeclareQueue)}
    exchanges = {one.name for one in declarations if isinstance(one, DeclareExchange)}
    bindings = [one for one in declarations if isinstance(one, Bind)]
    named = _queues_of_others(queues, exchanges, found)
    listed = [_unused_queue(found.queues[name], why) for name, why in named.items()]
    listed += [
        Unused("exchange", name, "a twin for delays without its exchange")
        for name in sorted(found.exchanges)
        if name.endswith(_TWIN) and name.removesuffix(_TWIN) not in {*found.exchanges, _LADDER}
    ]
    for binding in found.bindings:
        ours = exchanges if binding.to_exchange else queues
        known = binding.source in exchanges and binding.destination in ours
        if known and binding not in bindings:
            name = f"{binding.source} -> {binding.destination} ({binding.routing_key})"
            listed.append(Unused("binding", name, "the app has no such binding", binding=binding))
    return listed


def _queues_of_others(queues: set[str], exchanges: set[str], found: Found) -> dict[str, str]:
    """Queues that the app's exchanges lead to, and those that belong to them, with why."""
    named: dict[str, str] = {}
    for binding in found.bindings:
        name = binding.destination
        known = name in queues or name.startswith(_REPLIES)
        if not binding.to_exchange and binding.source in exchanges and not known:
            named.setdefault(name, f"bound to {binding.source}")
    for name in list(named):
        for other in (dead_letter_queue(name), due_queue(name), suspects_queue(name)):
            if other in found.queues and other not in queues:
                named.setdefault(other, f"belongs to {name}")
    for name in queues:
        for other in (due_queue(name), suspects_queue(name)):
            if other in found.queues and other not in queues:
                named.setdefault(other, f"{name} does not need it")
    return {name: named[name] for name in sorted(named) if name in found.queues}


def _unused_queue(queue: FoundQueue, why: str) -> Unused:
    return Unused("queue", queue.name, why, queue.messages, queue.consumers)
