"""What a producer publishes, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple, get_args

from rmqwork import TaskMessage
from tools.chaos.app import (
    AsyncWork,
    Death,
    Doomed,
    Family,
    NarrowWork,
    Poison,
    Refused,
    Stubborn,
    Work,
)
from tools.chaos.ledger import Fate

Sort = Literal[
    "quick", "slow", "flaky", "delayed", "async", "narrow", "family", "doomed", "refused", "poison",
    "stubborn",
]  # fmt: skip
MIX: Final[dict[Sort, int]] = {
    "quick": 440,
    "slow": 60,
    "flaky": 120,
    "delayed": 80,
    "async": 130,
    "narrow": 80,
    "family": 40,
    "doomed": 25,
    "refused": 15,
    "poison": 6,
    "stubborn": 4,
}
"""How many of each in a thousand."""


class Order(NamedTuple):
    """One publish: the message, what must become of it, and its options."""

    message: TaskMessage
    fate: Fate
    options: dict[str, Any]


def orders(seed: str) -> Iterator[Order]:
    """The publishes of one producer, without end; the same for the same seed."""
    rng = random.Random(seed)
    sorts, weights = list(MIX), list(MIX.values())
    number = 0
    while True:
        (sort,) = rng.choices(sorts, weights)
        number += 1
        yield _order(sort, f"{seed}-{number:05d}", rng)


def _order(sort: Sort, task_id: str, rng: random.Random) -> Order:
    options: dict[str, Any] = {"task_id": task_id}
    quick = rng.uniform(0.0, 0.02)
    match sort:
        case "quick":
            return Order(Work(seconds=quick), "done", options)
        case "slow":
            return Order(Work(seconds=rng.uniform(0.2, 1.5)), "done", options)
        case "flaky":
            return Order(Work(seconds=quick, failures=rng.choice((1, 1, 2))), "done", options)
        case "delayed":
            options["countdown"] = rng.uniform(0.1, 4.0)
            return Order(Work(seconds=quick), "done", options)
        case "async":
            return Order(
                AsyncWork(seconds=quick * 20, failures=rng.choice((0, 0, 1))), "done", options
            )
        case "narrow":
            return Order(NarrowWork(seconds=quick, failures=rng.choice((0, 0, 1))), "done", options)
        case "family":
            return Order(Family(child=f"{task_id}-child"), "done", options)
        case "doomed":
            return Order(Doomed(), "dead", options)
        case "refused":
            return Order(Refused(), "dead", options)
        case "poison":
            return Order(Poison(by=rng.choice(get_args(Death))), "dead", options)
        case "stubborn":
            return Order(Stubborn(), "done", options)
