"""The interleaved series: A B C … A B C …, and its medians."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plan import Workload
from benchmarks.runs import Figures, RunFailed, Stage, run

Say = Callable[[str], None]


class Series:
    """All runs of a benchmark.

    Args:
        stage: where they happen.
        workloads: which.
        names: of the contenders; None = all.
        say: takes a line for each run.
    """

    def __init__(
        self, stage: Stage, workloads: Sequence[Workload], names: Iterable[str] | None, say: Say
    ) -> None:
        self._stage = stage
        self._workloads = workloads
        self._names = None if names is None else set(names)
        self._say = say
        self._runs: dict[str, dict[str, list[Figures]]] = {}
        self._failures: list[dict[str, Any]] = []
        self._loads: list[float] = []

    def round(self, number: int) -> Iterator[Workload]:
        """Each contender once at each workload, beginning with another one in each round.

        Yields:
            each workload when it is through.
        """
        for workload in self._workloads:
            who = [
                one
                for one in workload.contenders
                if (self._names is None or one.name in self._names)
                and (one.module is not None or self._stage.native is not None)
            ]
            turn = number % max(1, len(who))
            for contender in who[turn:] + who[:turn]:
                load = os.getloadavg()[0]
                self._loads.append(load)
                try:
                    figures = run(self._stage, contender, workload)
                except (RunFailed, OSError, ValueError) as error:
                    failure = {"workload": workload.name, "contender": contender.name}
                    self._failures.append({**failure, "round": number, "error": str(error)[-1500:]})
                    self._say(f"{workload.name} {contender.name}: FAILED: {error}")
                    continue
                figures["load"] = load
                mine = self._runs.setdefault(workload.name, {})
                mine.setdefault(contender.name, []).append(figures)
                shown = "  ".join(f"{name}={_short(value)}" for name, value in figures.items())
                self._say(f"{number + 1}  {workload.name:<16} {contender.name:<16} {shown}")
            yield workload

    def result(self) -> dict[str, Any]:
        """Everything, as plain values: the runs, their medians, the machine."""
        return {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(),
            "broker": self._stage.broker.version,
            "scale": self._stage.scale,
            "load": {
                "median": statistics.median(self._loads or [0]),
                "max": max(self._loads, default=0),
            },
            "workloads": {
                workload.name: {
                    "title": workload.title,
                    "unit": workload.unit,
                    "key": workload.key,
                    "more_is_better": workload.more,
                    "runs": self._runs[workload.name],
                    "medians": {
                        name: _medians(runs) for name, runs in self._runs[workload.name].items()
                    },
                }
                for workload in self._workloads
                if workload.name in self._runs
            },
            "failures": self._failures,
        }


def _medians(runs: Sequence[Figures]) -> Figures:
    return {
        name: statistics.median([one[name] for one in runs if name in one])
        for name in dict.fromkeys(name for one in runs for name in one)
    }


def machine() -> dict[str, Any]:
    """The machine, as far as it matters."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
    }


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
