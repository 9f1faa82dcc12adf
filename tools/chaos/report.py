"""What a campaign says on the terminal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from rmqwork._cli.output import Column, console, fields
from rmqwork._cli.output import table as made
from tools.chaos.result import Result

_COUNTED = (
    "attempted", "acknowledged", "executed", "dead_lettered", "lost", "stranded", "unexpected",
    "never_run", "recovered", "duplicated", "unexplained", "innocent",
)  # fmt: skip


def say(line: str) -> None:
    """Tell how it goes."""
    print(f"chaos: {line}", file=sys.stderr, flush=True)


def table(results: Sequence[Result], version: str) -> None:
    """Print the verdicts, the faults and the causes of duplicates."""
    columns = [
        Column("seed", "right"),
        *(Column(name.replace("_", "-"), "right") for name in _COUNTED),
    ]
    columns += [Column("settled after", "right"), Column("verdict")]
    rows = [_row(result) for result in results]
    out = console()
    out.print(made(columns, rows, f"RabbitMQ {version}"))
    faults: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for result in results:
        faults.update(result.faults)
        causes.update(result.verdict.causes)
    print(f"faults ({faults.total()}):")
    print(fields([(name, count) for name, count in sorted(faults.items())]))
    if causes:
        print(f"tasks that ended twice ({causes.total()}), by cause:")
        print(fields([(name, count) for name, count in causes.most_common()]))
    for result in results:
        print(f"seed {result.seed}: {result.files[0]}")
        for task_id, reason in result.verdict.innocent.items():
            print(f"  innocent dead letter {task_id}: {reason}")
        for name, ids in result.verdict.to_dict()["ids"].items():
            print(f"  {name}: {', '.join(ids[:20])}")


def _row(result: Result) -> list[object]:
    counts = result.verdict.counts()
    settled = "never" if result.recovery is None else f"{result.recovery:.0f} s"
    verdict = "good" if result.good else "BROKEN"
    return [result.seed, *(counts[name] for name in _COUNTED), settled, verdict]
