"""Delays inside the broker: a ladder of quorum queues, each with one time to live.

A level *i* holds a message for 25 ms × 2^i. A delay is a sum of levels: the message enters at the
highest, and each level dead-letters it to the next lower one that its headers name. So any delay
up to 310 days takes a fixed number of queues, a message never waits behind one with a longer
delay, and the routing key stays the message's own, by which it returns in the end.

The way from level to level is a chain of headers exchanges: ``rmqwork.delay.v1.<i>`` has one
binding, to level *i*'s queue, for messages with the header ``rmqwork-d<i>``; what does not match
goes by its alternate exchange to level *i* - 1. Below level 0 stands ``rmqwork.delay.v1.due``: a
first publish (header ``rmqwork-due`` names its exchange X) goes on to the twin ``X.due``, all else
by the alternate exchange to ``rmqwork.return``, which routes by queue name.

Sources: RabbitMQ guides "Dead Letter Exchanges" (at-least-once), "Alternate Exchanges".
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

from rmqwork._topology.topology import (
    RETURN_EXCHANGE,
    Bind,
    Declaration,
    DeclareExchange,
    DeclareQueue,
    due_exchange,
)

UNIT: Final = 0.025
"""Seconds that level 0 holds a message."""
LEVELS: Final = 30
MAX_DELAY: Final = UNIT * (2**LEVELS - 1)
"""The longest delay in seconds: 310 days."""
PREFIX: Final = "rmqwork.delay.v1"
DUE_EXCHANGE: Final = f"{PREFIX}.due"
DUE_HEADER: Final = "rmqwork-due"
_LEVEL_HEADERS: Final = tuple(f"rmqwork-d{level}" for level in range(LEVELS))
_BY_QUEUE: Final = ("", RETURN_EXCHANGE)
"""Exchanges that route by the name of a queue; what is delayed for them returns by it."""
_PRECISION: Final = 1000
_COARSEST: Final = 40
OWN_HEADERS: Final = frozenset({DUE_HEADER, *_LEVEL_HEADERS})
"""The headers that only the way through the delay queues needs."""


def level_name(level: int) -> str:
    """The name of a level's exchange and of its queue."""
    return f"{PREFIX}.{level:02d}"


def units_of(delay: float) -> int:
    """The number of 25 ms units that a delay in seconds comes to.

    Rounded up, never early, within a thousandth of the delay (at least a unit, at most a second)
    to the number with the fewest levels.
    """
    exact = min(max(1, ceil(delay / UNIT)), (1 << LEVELS) - 1)
    slack = min(exact // _PRECISION, _COARSEST)
    best = exact
    step = 1
    while step <= slack:
        step *= 2
        rounded = -(-exact // step) * step
        if rounded - exact <= slack and rounded < 1 << LEVELS:
            best = min(best, rounded, key=int.bit_count)
    return best


def enter(delay: float) -> tuple[str, dict[str, bool]]:
    """Where a message with a delay in seconds enters, and the headers that lead it through."""
    units = units_of(delay)
    headers = {_LEVEL_HEADERS[level]: True for level in range(LEVELS) if units >> level & 1}
    return level_name(units.bit_length() - 1), headers


def entry(exchange: str, delay: float) -> tuple[str, dict[str, object]]:
    """Return the exchange and the headers with which a message waits for its own exchange.

    Args:
        exchange: the message's own; it goes there, by its routing key, when the delay is over.
        delay: seconds; more than `MAX_DELAY` counts as that.
    """
    first, levels = enter(min(delay, MAX_DELAY))
    if exchange in _BY_QUEUE:
        return first, {**levels}
    return first, {DUE_HEADER: exchange, **levels}


def ladder_declarations() -> list[Declaration]:
    """The declarations of all levels, the lowest first; needs `return_declarations`."""
    plan: list[Declaration] = [
        DeclareExchange(DUE_EXCHANGE, "headers", {"alternate-exchange": RETURN_EXCHANGE})
    ]
    below = DUE_EXCHANGE
    for level in range(LEVELS):
        name = level_name(level)
        plan += [
            DeclareExchange(name, "headers", {"alternate-exchange": below}),
            DeclareQueue(
                name,
                {
                    "x-queue-type": "quorum",
                    "x-message-ttl": int(UNIT * 1000) << level,
                    "x-dead-letter-exchange": below,
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                },
            ),
            Bind(name, name, "", {"x-match": "all", _LEVEL_HEADERS[level]: True}),
        ]
        below = name
    return plan


def first_publish_declarations(exchange: str) -> list[Declaration]:
    """The declaration that leads an exchange's delayed first publishes to its twin."""
    arguments = {"x-match": "all", DUE_HEADER: exchange}
    return [Bind(DUE_EXCHANGE, due_exchange(exchange), "", arguments, to_exchange=True)]


def delay_declarations(plan: Sequence[Declaration]) -> list[Declaration]:
    """The declarations of all delays of an app: the ladder, and the way back of first publishes.

    Args:
        plan: the app's own declarations, which it comes after.
    """
    exchanges = [one.name for one in plan if isinstance(one, DeclareExchange)]
    twins = [name for name in exchanges if due_exchange(name) in exchanges]
    return ladder_declarations() + [
        bind for name in twins for bind in first_publish_declarations(name)
    ]
