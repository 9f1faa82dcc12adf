"""Charts (PNG) of a series; runs in the peers' environment, which has matplotlib.

``python -m benchmarks.charts RESULTS.json`` writes the images beside the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

OURS, PEER, RAW = "#c2410c", "#64748b", "#a8b3c4"
RAW_NAMES = ("pika", "aio-pika", "C")
THROUGHPUT = ("each", "flight", "drain", "drain2")


def color(name: str) -> str:
    """By what kind of contender it is."""
    return OURS if name.startswith("rmqwork") else RAW if name in RAW_NAMES else PEER


def bars(axes: Any, workload: Mapping[str, Any], key: str, title: str, pattern: str) -> None:
    """Horizontal bars of medians, the best on top, whiskers from the least to the most."""
    medians = {n: m[key] for n, m in workload["medians"].items() if key in m}
    names = sorted(medians, key=medians.__getitem__, reverse=not workload["more_is_better"])
    if key != workload["key"]:
        names = sorted(medians, key=medians.__getitem__, reverse=True)
    values = [medians[name] for name in names]
    runs = [[one[key] for one in workload["runs"][name] if key in one] for name in names]
    spread = [
        [value - min(run) for value, run in zip(values, runs, strict=True)],
        [max(run) - value for value, run in zip(values, runs, strict=True)],
    ]
    axes.barh(names, values, color=[color(name) for name in names], height=0.7)
    axes.errorbar(
        values, range(len(names)), xerr=spread, fmt="none", ecolor="#1f2937", elinewidth=1
    )
    most = max(values[at] + spread[1][at] for at in range(len(values)))
    for at, value in enumerate(values):
        axes.text(value + spread[1][at] + most * 0.015, at, pattern.format(value), va="center")
    axes.set_xlim(0, most * 1.2)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])


def sheet(path: Path, panels: list[tuple[Any, ...]], note: str) -> None:
    """One image with several panels, two in a row."""
    if not panels:
        return
    rows = (len(panels) + 1) // 2
    figure, grid = plt.subplots(rows, 2, figsize=(13, 0.6 + 3.3 * rows), squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for axes, panel in zip(grid.flat, panels, strict=False):
        bars(axes, *panel)
    figure.text(0.01, 0.005, note, fontsize=8, color="#475569")
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def growth(path: Path, workloads: Mapping[str, Any], note: str) -> None:
    """What a message costs over how many wait."""
    points = sorted(
        (int(name.partition("-")[2]), one["medians"]["rmqwork"])
        for name, one in workloads.items()
        if name.startswith("depth-")
    )
    if len(points) < 2:
        return
    figure, axes = plt.subplots(figsize=(8, 4.2))
    depths = [depth for depth, _ in points]
    for key, label, style in (
        ("cpu_per_1000", "worker, CPU ms a task", "o-"),
        ("publish_cpu_per_1000", "publisher, CPU ms a message", "s--"),
    ):
        axes.plot(depths, [median[key] for _, median in points], style, label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("messages that wait in the queue")
    axes.set_title("Cost of one message", loc="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.text(0.01, 0.01, note, fontsize=7, color="#475569")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(path: Path) -> None:
    """Draw all."""
    result = json.loads(path.read_text())
    workloads, machine = result["workloads"], result["machine"]
    note = (
        f"medians, whiskers from least to most; RabbitMQ {result['broker']}, {machine['cores']} "
        f"cores for broker and clients, Python {machine['python']}; {result['at'][:10]}"
    )
    known = [(name, workloads[name]) for name in THROUGHPUT if name in workloads]
    panels = [(one, "rate", f"{one['title']}, a second", "{:,.0f}") for _, one in known]
    if "drain" in workloads:
        title = "CPU ms a task, all processes of a worker (less is better)"
        panels.append((workloads["drain"], "cpu_per_1000", title, "{:.3f}"))
    sheet(path.with_name("throughput.png"), panels, note)
    panels = [
        (workloads["latency"], key, f"latency at 200/s, {key}, ms", "{:.1f}")
        for key in ("p50", "p99")
        if "latency" in workloads
    ]
    panels += [
        (workloads[name], key, title, pattern)
        for name, key, title, pattern in (
            ("start", "seconds", "start to first task, s", "{:.2f}"),
            ("idle", "pss", "idle worker, 4 at once: memory, MB (PSS)", "{:.0f}"),
            ("cpu", "ratio", "CPU-bound on 2 processes: wall / bare processes", "{:.2f}"),
            ("sleep", "ratio", "50 ms sleeps, 100 at once: wall / ideal", "{:.2f}"),
        )
        if name in workloads
    ]
    sheet(path.with_name("latency.png"), panels, note)
    growth(path.with_name("growth.png"), workloads, note)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
