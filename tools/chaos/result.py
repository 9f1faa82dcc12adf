"""`Result`: the outcome of one run of a campaign."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tools.chaos.crew import Departure
from tools.chaos.ledger import Line, Verdict


@dataclass(slots=True)
class Result:
    """What came of one run.

    Args:
        seed: of its faults and its load.
        verdict: over its ledger.
        lines: of its ledger.
        faults: how many of each kind were carried out.
        recovery: seconds from the last fault until everything was settled; None = it never was.
        slowest: seconds, the longest from the end of a fault of the broker to the next end of a
            task.
        departures: how processes ended that were told to.
        problems: what went wrong with the run itself.
        files: the timeline and the verdict.
    """

    seed: int
    verdict: Verdict
    lines: list[Line]
    faults: dict[str, int]
    recovery: float | None
    slowest: float
    departures: list[Departure]
    problems: list[str]
    files: list[Path] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether the promise was kept, and no process ended in a way that no fault explains."""
        return self.verdict.good and self.recovery is not None and not self.bad_departures

    @property
    def bad_departures(self) -> list[Departure]:
        """Processes that were not killed by a fault, and did not leave as they should have.

        A signal that comes before a process can handle it just ends it.
        """
        fair = {True: (0, 3, -9, -15), False: (-9,)}
        return [one for one in self.departures if one.code not in fair[one.told]]
