"""The result of a comparison: as a table for people, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.compare.measures import Measure
from tools.compare.pairs import CONFIDENCE, Comparison, Figures, Pair, Side, compare

WIDTH = 126


@dataclass(frozen=True)
class Failure:
    """A run that did not come to its end.

    Args:
        measure: its name.
        pair: its number, from 0; None = the warm-up.
        side: which.
        reason: why, with the end of the log.
    """

    measure: str
    pair: int | None
    side: Side
    reason: str

    @property
    def title(self) -> str:
        """The run, for people."""
        when = "warm-up" if self.pair is None else f"pair {self.pair + 1}"
        return f"{self.measure}, {when}, {self.side}"


@dataclass
class Result:
    """All runs of a comparison.

    Args:
        about: the two commits, the broker, the machine.
        measures: those that are run, with the size of each.
        pairs: of each measure, by its name.
        failures: runs that have failed.
    """

    about: Mapping[str, Any]
    measures: Mapping[Measure, int]
    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, measure: Measure, pair: Pair) -> None:
        """Add a pair of runs, of which some may have failed."""
        self.pairs.setdefault(measure.name, []).append(pair)

    def comparisons(self, measure: Measure) -> list[Comparison]:
        """Return what is known of each figure of a measure; nothing without a whole pair."""
        pairs = self.pairs.get(measure.name, [])
        found = (compare(figure, pairs) for figure in measure.figures)
        return [comparison for comparison in found if comparison is not None]

    @property
    def below(self) -> bool:
        """Whether a figure is below its bar."""
        return any(one.below for measure in self.measures for one in self.comparisons(measure))

    @property
    def complete(self) -> bool:
        """Whether no run has failed and each measure has a whole pair."""
        return not self.failures and all(map(self.comparisons, self.measures))

    def values(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            **self.about,
            "measures": {
                measure.name: {
                    "title": title(measure, size),
                    "size": size,
                    "figures": {one.figure.key: _values(one) for one in self.comparisons(measure)},
                    "pairs": [
                        {"pair": pair.number + 1, "first": pair.first, **pair.figures}
                        for pair in self.pairs.get(measure.name, [])
                    ],
                }
                for measure, size in self.measures.items()
            },
            "failures": [{"run": one.title, "reason": one.reason} for one in self.failures],
        }


def title(measure: Measure, size: int) -> str:
    """Return the title of a measure at a size."""
    return measure.title.format(size=f"{size:,}")


def _values(one: Comparison) -> dict[str, Any]:
    return {
        "title": one.figure.title,
        "unit": one.figure.unit,
        "base": one.base,
        "head": one.head,
        "ratio": one.ratio,
        "low": one.interval.low,
        "high": one.interval.high,
        "coverage": one.interval.coverage,
        "order_effect": one.order_effect,
        "ratios": list(one.ratios),
        "bar": one.figure.bar,
        "verdict": verdict(one),
    }


def verdict(one: Comparison) -> str:
    """Return ``ok`` or ``BELOW``, with ``?`` if more pairs could turn it; empty without a bar."""
    if one.figure.bar is None:
        return ""
    return ("BELOW" if one.below else "ok") + ("" if one.clear else " ?")


def text(result: Result) -> str:
    """Return the table, the failures, and how to read them."""
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    for side in ("base", "head"):
        if about := result.about.get(side):
            console.print(Text(f"{side}: {about['label']}"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("measure", "figure"):
        table.add_column(heading, no_wrap=True)
    for heading in ("base", "head", "ratio", "interval", "2nd run", "bar"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for measure, size in result.measures.items():
        rows = [_row(one) for one in result.comparisons(measure)]
        for place, row in enumerate(rows or [["no whole pair"]]):
            table.add_row("" if place else title(measure, size), *row)
    console.print(table)
    for line in (*_failures(result.failures), *_legend(result)):
        console.print(Text(line))
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def _row(one: Comparison) -> list[str]:
    bar, effect = one.figure.bar, one.order_effect
    return [
        one.figure.title,
        f"{number(one.base)} {one.figure.unit}",
        f"{number(one.head)} {one.figure.unit}",
        f"{one.ratio:.3f}",
        f"{one.interval.low:.3f} to {one.interval.high:.3f}",
        "" if effect is None else f"{effect:.3f}",
        "" if bar is None else f"{bar:.2f}",
        verdict(one),
    ]


def number(value: float) -> str:
    """Return a number with three digits or more."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")


def _failures(failures: Sequence[Failure]) -> list[str]:
    lines = [f"FAILED: {one.title}: {one.reason}" for one in failures]
    return [*lines, ""] if lines else []


def _legend(result: Result) -> list[str]:
    coverages = {
        len(one.ratios): one.interval.coverage
        for measure in result.measures
        for one in result.comparisons(measure)
    }
    covered = ", ".join(f"{share:.0%} (pairs: {pairs})" for pairs, share in coverages.items())
    lines = [
        "ratio: median of the pair ratios. 1 or more = head is no worse: base/head for CPU, seconds"
        " and memory, head/base for rates.",
        f"interval: order statistics of the pair ratios; it has the median in it with {covered};"
        f" {CONFIDENCE:.0%} are wanted."
        if covered
        else "",
        "2nd run: factor by which the second run of a pair is better, whichever side it is of. "
        "?: more pairs could turn it.",
        "CPU: user and system time per message (member, step, start), of all processes of the"
        " worker, of the publisher, or of both; the broker's does not count.",
    ]
    return [line for line in lines if line]


def short(figures: Figures) -> str:
    """Return the figures of one run in one line."""
    return "  ".join(f"{key}={number(value)}" for key, value in figures.items())
