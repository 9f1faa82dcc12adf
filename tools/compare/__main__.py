"""``python -m tools.compare --base COMMIT``: compare what two commits cost, on one broker.

Both are installed in environments of their own. Runs go in pairs, one of each side, and the order
changes from pair to pair. The broker is the one that RMQWORK_BROKER names, or one that is started
(the code for that is of the checkout that this is run from). See benchmarks/README.md.

Exit codes: 0 measured; 1 a run has failed or, with --check, a figure is below its bar; 2 wrong
options, a commit that cannot be installed, no broker; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import ROOT, RunFailed
from benchmarks.series import machine
from rmqwork import BrokerUnavailable, ConfigurationError
from rmqwork.testing.broker import BrokerOperationError, start_broker
from tools.compare.builds import (
    Build,
    BuildFailed,
    Source,
    build,
    commit,
    locked,
    working_tree,
)
from tools.compare.measures import BAR, CPU_BAR, MEASURES, Measure
from tools.compare.pairs import SIDES, Figures, Pair, Side, order
from tools.compare.report import Failure, Result, short, text
from tools.compare.runs import Stage, check_place, opened, stage_programs

WARM_UP_SHARE = 0.1
"""Share of its size that a measure has in the warm-up."""


class Campaign:
    """Runs all pairs of all measures.

    Args:
        stage: the place.
        builds: of both sides.
        result: takes what the runs give.
    """

    def __init__(self, stage: Stage, builds: dict[Side, Build], result: Result) -> None:
        self._stage = stage
        self._builds = builds
        self._result = result
        self._able: dict[Measure, int] = {}

    def warm_up(self) -> None:
        """Run each measure once on each side, smaller, and leave the figures out.

        A measure that fails here is not run again: each pair would wait for its time limit.
        """
        for measure, size in self._result.measures.items():
            small = max(measure.least, int(size * WARM_UP_SHARE))
            if None not in [self._run(measure, small, side, None) for side in SIDES]:
                self._able[measure] = size

    def pairs(self, count: int) -> Iterator[None]:
        """Run so many pairs of each measure; yields after each pair of all of them."""
        began = time.monotonic()
        for number in range(count):
            for place, (measure, size) in enumerate(self._able.items()):
                self._result.add(measure, self._pair(measure, size, number, place))
            left = (time.monotonic() - began) / (number + 1) * (count - number - 1)
            say(f"pair {number + 1} of {count} is through; {left / 60:.0f} min left")
            yield

    def _pair(self, measure: Measure, size: int, number: int, place: int) -> Pair:
        sides = order(number, place)
        pair = Pair(number, sides[0])
        for side in sides:
            figures = self._run(measure, size, side, number)
            if figures is not None:
                pair.figures[side] = figures
        return pair

    def _run(self, measure: Measure, size: int, side: Side, pair: int | None) -> Figures | None:
        """Run a measure once; None, and a failure in the result, if it does not come to its end."""
        when = "warm-up" if pair is None else f"{pair + 1}"
        try:
            with opened(self._stage, self._builds[side]) as run:
                figures = measure.run(run, size)
        except (RunFailed, BrokerOperationError, OSError, ValueError) as error:
            reason = str(error) or repr(error)
            self._result.failures.append(Failure(measure.name, pair, side, reason))
            say(f"{when:>8}  {measure.name:<13} {side}  FAILED: {reason}")
            return None
        say(f"{when:>8}  {measure.name:<13} {side}  {short(figures)}")
        return figures


def main() -> int:
    """Compare, and print the table."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    began = time.monotonic()
    try:
        with locked(options.cache):
            return _compare(options, began)
    except (BuildFailed, BrokerUnavailable, BrokerOperationError, ConfigurationError) as error:
        say(f"compare: {error}")
        return 2
    except KeyboardInterrupt:
        say("compare: interrupted")
        return 130


def _compare(options: argparse.Namespace, began: float) -> int:
    builds = _builds(options)
    programs = options.cache / "programs"
    stage_programs(programs)
    for one in builds.values():
        check_place(one, programs)
    interrupted = False
    with start_broker(say=say) as broker:
        about = _about(builds, broker.version, options.pairs)
        result = Result(about, options.measures)
        campaign = Campaign(Stage(broker, programs), builds, result)
        try:
            campaign.warm_up()
            for _ in campaign.pairs(options.pairs):
                _write(result, options.json, began)
        except KeyboardInterrupt:
            interrupted = True
    _write(result, options.json, began)
    print(text(result))
    load = f"load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"
    print(f"{(time.monotonic() - began) / 60:.1f} min, {load}")
    if interrupted:
        say("compare: interrupted; the table has the pairs that were through")
        return 130
    return 1 if not result.complete or (options.check and result.below) else 0


def _builds(options: argparse.Namespace) -> dict[Side, Build]:
    sources: dict[Side, Source] = {
        "base": commit(ROOT, options.base),
        "head": commit(ROOT, options.head) if options.head else working_tree(ROOT),
    }
    builds: dict[Side, Build] = {}
    for side, source in sources.items():
        say(f"{side}: {source.label}")
        builds[side] = build(ROOT, options.cache, side, source)
    return builds


def _about(builds: dict[Side, Build], broker: str | None, pairs: int) -> dict[str, Any]:
    sides: dict[str, Any] = {
        side: {"label": one.source.label, "tree": one.source.tree} for side, one in builds.items()
    }
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {**sides, "at": at, "broker": broker, "machine": machine(), "pairs_wanted": pairs}


def _write(result: Result, path: Path | None, began: float) -> None:
    if path is not None:
        load = {"seconds": round(time.monotonic() - began, 1), "load": os.getloadavg()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**result.values(), **load}, indent=1) + "\n")


def _interrupt(number: int, frame: object) -> None:
    """End in good order; a second signal must not cut the removal of processes short."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def say(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    names = ", ".join(measure.name for measure in MEASURES)
    parser = argparse.ArgumentParser(
        prog="python -m tools.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", required=True, metavar="COMMIT")
    parser.add_argument(
        "--head", metavar="COMMIT", help="default: the files of this checkout as they are"
    )
    parser.add_argument("--only", metavar="NAMES", help=f"a,b of: {names}")
    parser.add_argument("--pairs", type=int, default=10, metavar="N", help="default: 10")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all sizes")
    parser.add_argument("--sizes", default="", metavar="a=N,b=N", help="sizes of some measures")
    parser.add_argument(
        "--check", action="store_true", help=f"bars: CPU {CPU_BAR:g}, all else {BAR:g}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all runs, as JSON")
    parser.add_argument("--cache", type=Path, default=Path(".compare"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    options.cache = options.cache.resolve()
    if not options.base:
        parser.error("name the commit to compare with: make compare BASE=<commit>")
    if options.pairs < 1:
        parser.error("--pairs: 1 or more")
    try:
        options.measures = chosen(options.only, options.scale, options.sizes)
    except ValueError as error:
        parser.error(str(error))
    return options


def chosen(only: str | None, scale: float, sizes: str) -> dict[Measure, int]:
    """Return the measures that the options name, with their sizes.

    Raises:
        ValueError: a measure has another name, or a size is no number.
    """
    known = {measure.name: measure for measure in MEASURES}
    items = [item.partition("=") for item in sizes.split(",") if item]
    given = {name: size for name, _, size in items}
    names = only.split(",") if only else list(known)
    if unknown := [name for name in (*names, *given) if name not in known]:
        raise ValueError(f"no measure {', '.join(unknown)}; there are {', '.join(known)}")
    if wrong := [f"{name}={size}" for name, size in given.items() if not size.isdigit()]:
        raise ValueError(f"--sizes: {', '.join(wrong)}; a size is a number: drain=10000")
    return {
        one: max(one.least, int(given[one.name]) if one.name in given else int(one.size * scale))
        for one in (known[name] for name in names)
    }


if __name__ == "__main__":
    sys.exit(main())
