"""Declare a plan: in one go where all is as it should be, one by one where it is not.

The broker compares a declaration with what exists and names the first property that differs
(reply code 406). To know all of them, the declaration is repeated with the broker's value until it
fits; nothing is changed on the broker by that.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from typing import Any, Final

from rmqwork._topology.delays import PREFIX as DELAYS
from rmqwork._topology.differences import Difference, usable, with_property
from rmqwork._topology.topology import (
    UNROUTABLE,
    Bind,
    Declaration,
    DeclareExchange,
    DeclareQueue,
    dead_letter_queue,
    due_exchange,
)
from rmqwork._transport.amqp.pika_internals import Connection
from rmqwork._transport.amqp.rpc import Rpc
from rmqwork._transport.port import ChannelClosed
from rmqwork.errors import ConfigurationError

_INEQUIVALENT: Final = re.compile(
    r"inequivalent arg '(?P<name>[^']+)' for (?:queue|exchange) '.*?' in vhost '.*?': "
    r"received (?P<ours>.*) but current is (?P<theirs>.*)$",
    re.DOTALL,
)
_VALUE: Final = re.compile(
    r"(?:the value )?'(?P<value>.*?)'(?: of type '(?P<type>\w+)')?$", re.DOTALL
)
_UNKNOWN: Final = re.compile(r"invalid arg '(?P<name>[^']+)' for queue '")
_NAMED: Final = re.compile(
    r"(?:no|access to) (?P<kind>queue|exchange) '(?P<name>.*)' in vhost '", re.DOTALL
)
_MAX_DIFFERENCES: Final = 20
_PRECONDITION_FAILED: Final = 406
_ACCESS_REFUSED: Final = 403
_NOT_FOUND: Final = 404


async def declare(connection: Connection, plan: Sequence[Declaration]) -> list[Difference]:
    """Make what the plan says; see `rmqwork._transport.port.Link.declare`."""
    if not plan:
        return []
    new = not await _all_there(connection, plan)
    differences = await _declare(connection, plan)
    if new:
        await asyncio.sleep(new_queue_wait())
    return differences


def new_queue_wait() -> float:
    """Seconds that a quorum queue which was just made is left alone: 1, or what
    ``RMQWORK_NEW_QUEUE_WAIT`` says (tests set it to 0).

    Measured on RabbitMQ 4.3.6 and 3.10.8: a broker that is killed (SIGKILL) within about half a
    second after it has made a quorum queue comes back with the queue empty, confirmed messages and
    all; after 1 s it comes back with all of them.
    """
    return float(os.environ.get("RMQWORK_NEW_QUEUE_WAIT", "1"))


async def _all_there(connection: Connection, plan: Sequence[Declaration]) -> bool:
    """Whether every quorum queue of the plan exists."""
    rpc = await Rpc.open(connection, lambda _: None)
    try:
        for declaration in plan:
            quorum = declaration.arguments.get("x-queue-type") == "quorum"
            if isinstance(declaration, DeclareQueue) and quorum and rpc.is_open:
                rpc.channel.queue_declare(declaration.name, passive=True)
        await rpc.call(rpc.channel.basic_qos, prefetch_count=1)
    except ChannelClosed as closed:
        if closed.code == _NOT_FOUND:
            return False
        if not connection.is_open:
            raise
    await rpc.close()
    return True


async def _declare(connection: Connection, plan: Sequence[Declaration]) -> list[Difference]:
    rpc = await Rpc.open(connection, lambda _: None)
    try:
        for declaration in plan:
            _send(rpc, declaration)
        await rpc.call(rpc.channel.basic_qos, prefetch_count=1)
        await rpc.close()
        return []
    except ChannelClosed as closed:
        if not connection.is_open:
            raise
        if closed.code not in (_PRECONDITION_FAILED, _ACCESS_REFUSED, _NOT_FOUND):
            raise _refused(closed, None) from closed
    return await _one_by_one(connection, plan)


def _send(rpc: Rpc, declaration: Declaration) -> None:
    """Without waiting for the answer; a refusal closes the channel."""
    if not rpc.is_open:
        return
    method, arguments = _method(rpc, declaration)
    method(**arguments)


def _method(rpc: Rpc, declaration: Declaration) -> tuple[Any, dict[str, Any]]:
    channel = rpc.channel
    arguments = dict(declaration.arguments) or None
    match declaration:
        case DeclareExchange(name, kind):
            return channel.exchange_declare, {
                "exchange": name,
                "exchange_type": kind,
                "durable": True,
                "arguments": arguments,
            }
        case DeclareQueue(name):
            return channel.queue_declare, {"queue": name, "durable": True, "arguments": arguments}
        case Bind(source, destination, routing_key, _, True):
            return channel.exchange_bind, {
                "destination": destination,
                "source": source,
                "routing_key": routing_key,
                "arguments": arguments,
            }
        case Bind(source, destination, routing_key):
            return channel.queue_bind, {
                "queue": destination,
                "exchange": source,
                "routing_key": routing_key,
                "arguments": arguments,
            }


async def _one_by_one(connection: Connection, plan: Sequence[Declaration]) -> list[Difference]:
    found: list[Difference] = []
    for declaration in plan:
        found += await _declare_one(connection, declaration)
    return usable(found)


async def _declare_one(connection: Connection, declaration: Declaration) -> list[Difference]:
    found: list[Difference] = []
    while len(found) < _MAX_DIFFERENCES:
        rpc = await Rpc.open(connection, lambda _: None)
        method, arguments = _method(rpc, declaration)
        try:
            await rpc.call(method, **arguments)
            await rpc.close()
            return found
        except ChannelClosed as closed:
            if not connection.is_open:
                raise
            if closed.code == _ACCESS_REFUSED and await _exists(connection, declaration):
                return found
            match = (
                _INEQUIVALENT.search(closed.text) if closed.code == _PRECONDITION_FAILED else None
            )
            if isinstance(declaration, Bind):
                raise _refused(closed, declaration) from closed
            if match is None:
                unknown = _unknown(declaration, closed) if found else None
                if unknown is None:
                    raise _refused(closed, declaration) from closed
                found.append(unknown)
                declaration = with_property(declaration, unknown.attribute, None)
                continue
            difference = _difference(declaration, match)
            found.append(difference)
            if difference.attribute in ("durable", "exclusive", "auto_delete", "internal"):
                return found
            theirs = _value(match["theirs"], typed=True)
            declaration = with_property(declaration, difference.attribute, theirs)
    return found


async def missing(connection: Connection, plan: Sequence[Declaration]) -> list[Declaration]:
    """Which exchanges and queues of a plan do not exist; see the port."""
    absent: list[Declaration] = []
    left = [declaration for declaration in plan if not isinstance(declaration, Bind)]
    while left:
        rpc = await Rpc.open(connection, lambda _: None)
        try:
            for declaration in left:
                _send_passive(rpc, declaration)
            await rpc.call(rpc.channel.basic_qos, prefetch_count=1)
        except ChannelClosed as closed:
            named = _NAMED.search(closed.text)
            refused = closed.code in (_NOT_FOUND, _ACCESS_REFUSED)
            if not refused or named is None or not connection.is_open:
                raise
            kind = DeclareQueue if named["kind"] == "queue" else DeclareExchange
            at = next(i for i, one in enumerate(left) if _is(one, kind, named["name"]))
            # RabbitMQ 4.3 shows an object only to who may do something with it; who may not has
            # nothing to do with it, either.
            if closed.code == _NOT_FOUND:
                absent.append(left[at])
            left = left[at + 1 :]
            continue
        await rpc.close()
        return absent
    return absent


async def verified(
    connection: Connection, plan: Sequence[Declaration], hidden: bool
) -> list[Declaration]:
    """See that a plan's exchanges and queues are there, for a user who may not declare.

    Args:
        connection: of that user.
        plan: what should be there.
        hidden: whether the broker hides objects with which this user may do nothing. Then those
            that neither workers nor publishers touch are not asked for: each refusal is an error
            in the broker's log.

    Returns:
        what this user declares all the same: queues that end by themselves (``x-expires``), which
        nobody can make beforehand, such as that of a process's replies.

    Raises:
        ConfigurationError: something is missing. Bindings are taken on trust.
    """
    own = [one for one in plan if isinstance(one, DeclareQueue) and "x-expires" in one.arguments]
    asked = [one for one in plan if one not in own and not (hidden and _is_operators(one))]
    absent = await missing(connection, asked)
    if absent:
        names = ", ".join(repr(getattr(one, "name", "")) for one in absent)
        raise ConfigurationError(
            f"the broker has no {names}, and this user is not to declare it (RMQWORK_DECLARE="
            "false); run 'rmqwork topology apply' as one who may"
        )
    return list(own)


def _is_operators(declaration: Declaration) -> bool:
    """Whether an object is the broker's way back or a place for people to look."""
    match declaration:
        case DeclareExchange(name):
            return name == UNROUTABLE or name.endswith(due_exchange(""))
        case DeclareQueue(name):
            inner = name.startswith(f"{DELAYS}.") or name == UNROUTABLE
            return inner or name.endswith(dead_letter_queue(""))
    return True


def _is(declaration: Declaration, kind: type, name: str) -> bool:
    return isinstance(declaration, kind) and getattr(declaration, "name", None) == name


def _send_passive(rpc: Rpc, declaration: Declaration) -> None:
    if not rpc.is_open:
        return
    match declaration:
        case DeclareExchange(name):
            rpc.channel.exchange_declare(name, passive=True)
        case DeclareQueue(name):
            rpc.channel.queue_declare(name, passive=True)
        case Bind():
            pass


async def _exists(connection: Connection, declaration: Declaration) -> bool:
    """Whether an object that this user may not declare is there; bindings are taken on trust."""
    rpc = await Rpc.open(connection, lambda _: None)
    try:
        match declaration:
            case DeclareExchange(name):
                await rpc.call(rpc.channel.exchange_declare, name, passive=True)
            case DeclareQueue(name):
                await rpc.call(rpc.channel.queue_declare, name, passive=True)
            case Bind():
                pass
    except ChannelClosed:
        return False
    finally:
        await rpc.close()
    return True


def _unknown(
    declaration: DeclareExchange | DeclareQueue, closed: ChannelClosed
) -> Difference | None:
    """An argument that the broker's type of queue does not know, and so cannot have."""
    match = _UNKNOWN.search(closed.text)
    if match is None or match["name"] not in declaration.arguments:
        return None
    ours = str(declaration.arguments[match["name"]])
    return Difference("queue", declaration.name, match["name"], ours, None)


def _difference(declaration: DeclareExchange | DeclareQueue, match: re.Match[str]) -> Difference:
    kind = "queue" if isinstance(declaration, DeclareQueue) else "exchange"
    ours, theirs = _value(match["ours"]), _value(match["theirs"])
    return Difference(
        kind,  # type: ignore[arg-type]
        declaration.name,
        match["name"],
        None if ours is None else str(ours),
        None if theirs is None else str(theirs),
    )


def _value(text: str, typed: bool = False) -> str | int | bool | None:
    """A value as the broker prints it: ``none``, or ``the value '10' of type 'long'``."""
    match = _VALUE.match(text.strip())
    if match is None:
        return None
    value, kind = match["value"], match["type"]
    if not typed or kind in ("longstr", "shortstr"):
        return value
    if kind == "bool" or value in ("true", "false"):
        return value == "true"
    return int(value) if value.lstrip("-").isdigit() else value


def _refused(closed: ChannelClosed, declaration: Declaration | None) -> ConfigurationError:
    what = "the topology"
    match declaration:
        case DeclareExchange(name) | DeclareQueue(name):
            what = f"{name!r}"
        case Bind(source, destination, routing_key):
            what = f"the binding {source!r} -> {destination!r} ({routing_key!r})"
    hint = ""
    if closed.code == _ACCESS_REFUSED:
        hint = (
            "; give this user the configure right; or let another user declare it, and set "
            "RMQWORK_DECLARE=false for this one"
        )
    return ConfigurationError(f"the broker refused to declare {what}: {closed.text}{hint}")
