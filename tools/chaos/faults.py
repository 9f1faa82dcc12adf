"""The faults, and which of them happen when: drawn from a seed, before anything is broken."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["executor", "template", "worker", "producer", "broker"]

PROCESS_FAULTS: Final[Mapping[str, tuple[Role, tuple[float, float]]]] = {
    "kill-executor": ("executor", (0, 0)),
    "term-executor": ("executor", (0, 0)),
    "stop-executor": ("executor", (0.3, 4)),
    "kill-template": ("template", (0, 0)),
    "kill-worker": ("worker", (0, 0)),
    "term-worker": ("worker", (0, 0)),
    "stop-worker": ("worker", (0.5, 14)),
    "kill-producer": ("producer", (0, 0)),
    "term-producer": ("producer", (0, 0)),
    "stop-producer": ("producer", (0.3, 4)),
}
"""Faults of processes: whom they hit, and for how many seconds (from, to)."""

BROKER_FAULTS: Final[Mapping[str, tuple[float, float]]] = {
    "kill-broker": (0.0, 3.0),
    "restart-broker": (0, 0),
    "pause-broker": (2.0, 14.0),
    "close-connections": (0, 0),
    "memory-alarm": (2.0, 6.0),
    "disk-alarm": (2.0, 6.0),
    "stop-app": (0.0, 2.0),
}
"""Faults of the broker, and for how many seconds, beside what a start of it takes."""

_COST: Final[Mapping[str, float]] = {"kill-broker": 8, "restart-broker": 11, "stop-app": 7}
_ALARM_COST: Final = 3.0
_PROCESS_GAP: Final = (0.8, 3.0)
_BROKER_GAP: Final = (1.5, 5.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        number: unique in its plan.
        at: seconds after the beginning; a fault of the broker waits for the one before it.
        name: of `PROCESS_FAULTS` or `BROKER_FAULTS`.
        role: whom it hits.
        seconds: how long it lasts.
        lot: 0 to 1: which of the processes in that role.
    """

    number: int
    at: float
    name: str
    role: Role
    seconds: float
    lot: float


def plan(seed: int, seconds: float, *, breakable: bool = True) -> list[Fault]:
    """The faults of a run; the same for the same arguments.

    Args:
        seed: any number.
        seconds: for which things are broken.
        breakable: whether the broker is ours to break.
    """
    faults = _of_processes(random.Random(f"{seed} processes"), seconds)
    if breakable:
        faults += _of_broker(random.Random(f"{seed} broker"), seconds, len(faults))
    return sorted(faults, key=lambda fault: fault.at)


def _of_processes(rng: random.Random, seconds: float) -> list[Fault]:
    faults: list[Fault] = []
    at = rng.uniform(*_PROCESS_GAP)
    for name in _bag(rng, list(PROCESS_FAULTS)):
        if at >= seconds:
            break
        role, lasts = PROCESS_FAULTS[name]
        faults.append(Fault(len(faults), at, name, role, rng.uniform(*lasts), rng.random()))
        at += rng.uniform(*_PROCESS_GAP)
    return faults


def _of_broker(rng: random.Random, seconds: float, first: int) -> list[Fault]:
    faults: list[Fault] = []
    at = rng.uniform(*_BROKER_GAP)
    for name in _bag(rng, list(BROKER_FAULTS)):
        lasts = rng.uniform(*BROKER_FAULTS[name])
        if at >= seconds:
            break
        faults.append(Fault(first + len(faults), at, name, "broker", lasts, rng.random()))
        cost = _COST.get(name, _ALARM_COST if "alarm" in name else 0.5)
        at += lasts + cost + rng.uniform(*_BROKER_GAP)
    return faults


def _bag(rng: random.Random, names: Sequence[str]) -> Iterator[str]:
    """All names in random order, again and again: none is left out for long."""
    while True:
        yield from rng.sample(names, len(names))
