"""Which fault explains that a task ran twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

BROKER: Final = "broker"
"""The target of faults that concern every connection."""
UNEXPLAINED: Final = "unexplained"
_AFTERMATH: Final = 20.0
"""Seconds after a fault in which its redeliveries arrive: connections are found dead by their
heartbeats, and processes connect again."""
_ACKS: Final = 1.5
"""Seconds for which an ack, or a confirmed write, may be on its way (see `worker.settle`)."""


@dataclass(slots=True)
class Run:
    """A run of a task: by whom, which attempt, when; ``end`` None = it did not come to its end."""

    who: str
    attempt: int
    start: float
    end: float | None = None


@dataclass(slots=True)
class Break:
    """A fault: its name, whom it hit (a process, or ``broker``), from when to when."""

    name: str
    target: str
    begin: float
    end: float = inf

    def touches(self, since: float, until: float, aftermath: float = _AFTERMATH) -> bool:
        """Whether it, or what follows from it, falls into a window."""
        return self.begin <= until and self.end + aftermath >= since


def blame(
    attempts: Sequence[float],
    confirms: Sequence[float],
    runs: Sequence[Run],
    faults: Sequence[Break],
) -> str:
    """The name of the fault that best explains a second end.

    Args:
        attempts: when publishes of the message were tried.
        confirms: when they were confirmed.
        runs: all its runs.
        faults: all faults.

    Returns:
        ``ack lost: <fault>`` (it had ended, and its ack did not arrive), ``ran on: <fault>`` (it
        was delivered elsewhere while it still ran), ``sent twice: <fault>`` (its publish, or that
        of its retry, got no answer and was sent again), or ``unexplained``.
    """
    ordered = sorted(runs, key=lambda run: run.start)
    done = [run for run in ordered if run.end is not None]
    for first, second in pairwise(done):
        assert first.end is not None
        over = first.end <= second.start
        since = first.end - _ACKS if over else first.start
        how = "ack lost" if over else "ran on"
        hit = [
            fault
            for fault in faults
            if fault.target in (BROKER, first.who.split("/")[0])
            and fault.touches(since, second.start)
        ]
        if hit:
            own = [fault for fault in hit if fault.target != BROKER and fault.begin >= since - 5]
            return f"{how}: {max(own or hit, key=lambda fault: fault.begin).name}"
    if attempts and done:
        hit = [
            fault
            for fault in faults
            if fault.target == BROKER and fault.touches(attempts[0], done[-1].start)
        ]
        if hit:
            return f"sent twice: {hit[-1].name}"
    return UNEXPLAINED
