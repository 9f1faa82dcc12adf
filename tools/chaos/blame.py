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
_ORDERLY: Final = ("term-", "memory-alarm", "disk-alarm")
"""Faults that must not make anything run twice, and so explain nothing."""
_ACKS: Final = 1.5
"""Seconds for which an ack, or a confirmed write, may be on its way (see `worker.settle`)."""


@dataclass(slots=True)
class Run:
    """A run of a task: by whom, which attempt, when; ``end`` None = it did not come to its end.

    ``who`` is ``worker/process id``; ``redelivered`` is what the broker said of the message.
    """

    who: str
    attempt: int
    start: float
    redelivered: bool = False
    end: float | None = None

    @property
    def worker(self) -> str:
        """The name of its worker."""
        return self.who.partition("/")[0]


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
        of its retry or of its move, got no answer and was sent again), or ``unexplained``.
    """
    faults = [fault for fault in faults if not fault.name.startswith(_ORDERLY)]
    done = sorted((run for run in runs if run.end is not None), key=lambda run: run.start)
    published = max(confirms, default=inf)
    for first, second in pairwise(done):
        assert first.end is not None
        over = first.end <= second.start
        since = first.end - _ACKS if over else first.start
        how = "ack lost" if over else "ran on"
        own = [fault for fault in faults if _hit_itself(fault, first, second, since)]
        if own:
            return f"{how}: {own[-1].name}"
        broker = [fault for fault in faults if fault.target == BROKER]
        while_sent = [
            fault
            for fault in broker
            if attempts and fault.touches(attempts[0], min(published, second.start), 1.0)
        ]
        if while_sent and not second.redelivered:
            return f"sent twice: {while_sent[-1].name}"
        while_run = [fault for fault in broker if fault.touches(since, second.start)]
        if while_run:
            return f"{how if second.redelivered else 'sent twice'}: {while_run[-1].name}"
    return UNEXPLAINED


def _hit_itself(fault: Break, first: Run, second: Run, since: float) -> bool:
    """Whether a fault hit the process of the first run, or froze the worker of the second, which
    then found a delivery in its socket that had long been somebody else's.
    """
    if fault.target in (first.who, first.worker):
        return fault.touches(since, second.start, 0.0)
    return (
        fault.target == second.worker
        and fault.name.startswith("stop")
        and fault.touches(second.start - _ACKS, second.start, 0.0)
    )
