"""``rmqwork chaos``: load, faults drawn from a seed, and a verdict of what became of each message.

Producers, workers and broker are real; what is broken is written down beforehand
(`rmqwork.chaos.faults`), what happened is in a ledger that trusts nobody
(`rmqwork.testing.ledger`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

EXIT_BROKEN: Final = 1
"""A message is lost, stranded or unexpected, or was dead-lettered as failed without having run."""
EXIT_CANNOT: Final = 2
EXIT_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """The options of a campaign.

    Args:
        seeds: of its runs, one after another.
        seconds: for which things are broken in each run.
        rate: publishes a second, of all producers together.
        workers: worker processes.
        processes: executor processes of each.
        producers: producer processes.
        folder: where ledgers, logs, timelines and verdicts go; None = a temporary one, which
            stays only if something is wrong.
        heartbeat: seconds; a frozen broker is noticed after one and a half.
        patience: seconds after the last fault in which everything must be settled.
        image: of the broker, where a container is used; None = the default.
    """

    seeds: tuple[int, ...] = (1,)
    seconds: float = 60.0
    rate: float = 50.0
    workers: int = 2
    processes: int = 2
    producers: int = 2
    folder: Path | None = None
    heartbeat: int = 5
    patience: float = 240.0
    image: str | None = None


def run(options: ChaosOptions) -> int:
    """Run a campaign; returns the exit code."""
    from rmqwork.chaos.campaign import perform

    return perform(options)
