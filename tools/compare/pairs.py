"""Pairs of runs: their order, their ratios, and what the ratios say. Pure.

A ratio is always read the same way: 1 or more means that head is no worse than base.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["base", "head"]
Figures = Mapping[str, float]
"""What one run has measured, by the key of each figure."""
SIDES: tuple[Side, Side] = ("base", "head")
CONFIDENCE = 0.95


def order(pair: int, place: int) -> tuple[Side, Side]:
    """Return the order of the two runs of a pair.

    Base is first in every other pair of a measure and at every other measure of a pair, so that
    what favours the first run (or the second) favours each side as often as the other.

    Args:
        pair: its number, from 0.
        place: of the measure among those that are run.
    """
    return SIDES if (pair + place) % 2 == 0 else (SIDES[1], SIDES[0])


@dataclass(frozen=True)
class Figure:
    """A figure that a measure gives.

    Args:
        key: of the figure in what a run returns.
        title: for the table.
        unit: for the table.
        more: True if more is better.
        bar: the least ratio that `--check` accepts; None = the figure is shown only.
    """

    key: str
    title: str
    unit: str
    more: bool = False
    bar: float | None = None

    def ratio(self, base: float, head: float) -> float:
        """Return head/base if more is better, else base/head."""
        above, below = (head, base) if self.more else (base, head)
        return above / below if below else math.nan


@dataclass
class Pair:
    """Two runs of a measure, one after the other.

    Args:
        number: from 0.
        first: the side that ran first.
        figures: of each side; a run that failed has none.
    """

    number: int
    first: Side
    figures: dict[Side, Figures] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether both runs came to their end."""
        return len(self.figures) == len(SIDES)


@dataclass(frozen=True)
class Interval:
    """An interval for the median of all pairs that could be run.

    Args:
        low: a ratio.
        high: a ratio.
        coverage: the probability that such an interval has the median in it.
    """

    low: float
    high: float
    coverage: float


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the narrowest interval between order statistics that has this confidence.

    It assumes nothing about how the values are spread. With fewer than six of them no such
    interval has a confidence of 95 %: then it is the whole range, and `coverage` is less.
    """
    ordered, count = sorted(values), len(values)
    # The median is below the k-th smallest value with the probability of less than k heads.
    tails = [sum(math.comb(count, i) for i in range(k)) / 2**count for k in range(count // 2 + 1)]
    cut = max((k for k in range(1, len(tails)) if 1 - 2 * tails[k] >= confidence), default=1)
    coverage = 1 - 2 * tails[cut] if cut < len(tails) else 0.0
    return Interval(ordered[cut - 1], ordered[count - cut], coverage)


@dataclass(frozen=True)
class Comparison:
    """What the pairs of one figure say.

    Args:
        figure: which.
        base: the median of base's runs.
        head: the median of head's runs.
        ratios: one a pair, in the order of the pairs.
        ratio: their median.
        interval: of the median.
        order_effect: by what factor the second run of a pair is better than the first, whichever
            side it is of; None where not both orders were run.
    """

    figure: Figure
    base: float
    head: float
    ratios: Sequence[float]
    ratio: float
    interval: Interval
    order_effect: float | None

    @property
    def below(self) -> bool:
        """Whether the median of the ratios is below the bar."""
        return self.figure.bar is not None and not self.ratio >= self.figure.bar

    @property
    def clear(self) -> bool:
        """Whether the interval is sure enough, and all of it on one side of the bar."""
        bar, sure = self.figure.bar, self.interval.coverage >= CONFIDENCE
        return bar is None or (sure and not self.interval.low < bar <= self.interval.high)


def compare(figure: Figure, pairs: Sequence[Pair]) -> Comparison | None:
    """Compare the two sides by one figure; None if no pair is whole."""
    whole = [pair for pair in pairs if pair.whole]
    if not whole:
        return None
    base, head = ([pair.figures[side][figure.key] for pair in whole] for side in SIDES)
    ratios = [figure.ratio(*both) for both in zip(base, head, strict=True)]
    return Comparison(
        figure,
        statistics.median(base),
        statistics.median(head),
        ratios,
        statistics.median(ratios),
        interval(ratios),
        _order_effect(whole, ratios),
    )


def _order_effect(pairs: Sequence[Pair], ratios: Sequence[float]) -> float | None:
    """A true difference d and an effect e give d·e where base is first, and d/e where head is."""
    by_first: dict[Side, list[float]] = {side: [] for side in SIDES}
    for pair, ratio in zip(pairs, ratios, strict=True):
        by_first[pair.first].append(ratio)
    if not all(by_first.values()):
        return None
    base_first, head_first = (statistics.median(by_first[side]) for side in SIDES)
    return math.sqrt(base_first / head_first) if head_first else None
