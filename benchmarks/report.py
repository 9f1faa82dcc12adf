"""The table of medians and ratios, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OURS = ("rmqwork", "rmqwork asyncio")
RAW = ("pika", "aio-pika", "C")


def markdown(result: Mapping[str, Any]) -> str:
    """The whole report."""
    machine = result["machine"]
    lines = [
        f"Medians of interleaved runs; RabbitMQ {result['broker']}, Python {machine['python']}, "
        f"{machine['cores']} cores ({machine['cpu']}) for broker and clients; load of the machine "
        f"{result['load']['median']:.1f} (median), {result['load']['max']:.1f} (most).",
        "",
        *_tables(result),
    ]
    if result["failures"]:
        lines += ["", "Failed runs:", ""]
        lines += [
            f"- {one['workload']}, {one['contender']}: {one['error'].splitlines()[0][:200]}"
            for one in result["failures"]
        ]
    return "\n".join(lines) + "\n"


def _tables(result: Mapping[str, Any]) -> list[str]:
    compared = {n: w for n, w in result["workloads"].items() if len(w["medians"]) > 1}
    alone = {n: w for n, w in result["workloads"].items() if len(w["medians"]) == 1}
    lines: list[str] = []
    if compared:
        names = list(dict.fromkeys(who for one in compared.values() for who in one["medians"]))
        lines += [f"| | {' | '.join(names)} | rmqwork to the best peer |"]
        lines += ["| --- |" + " --- |" * (len(names) + 1)]
        for workload in compared.values():
            cells = [cell(workload, name) for name in names]
            lines.append(f"| {workload['title']} | {' | '.join(cells)} | {ratio(workload)} |")
    if alone:
        lines += ["", "| rmqwork alone | | CPU ms a message |", "| --- | --- | --- |"]
        for workload in alone.values():
            (name,) = workload["medians"]
            median = workload["medians"][name]
            used = median.get("cpu_per_1000")
            text = "" if used is None else f"{used:.3f}"
            lines.append(f"| {workload['title']} | {cell(workload, name)} | {text} |")
    return lines


def cell(workload: Mapping[str, Any], name: str) -> str:
    """The figures of one contender at one workload."""
    median = workload["medians"].get(name)
    if median is None:
        return "–"
    if workload["key"] == "p50":
        return f"{median['p50']:.1f} / {median['p99']:.1f} / {median['p99.9']:.1f} ms"
    if workload["key"] == "pss":
        return f"{median['pss']:.0f} MB, {median['cpu_percent']:.2f} %"
    value = median[workload["key"]]
    text = f"{value:,.0f}" if workload["unit"] == "1/s" else f"{value:.2f}"
    used = median.get("cpu_per_1000")
    return text if used is None else f"{text} ({used:.3f} ms)"


def ratio(workload: Mapping[str, Any]) -> str:
    """The best of ours to the best of the peers."""
    key, medians, more = workload["key"], workload["medians"], workload["more_is_better"]
    ours = [medians[name][key] for name in medians if name in OURS]
    peers = {n: m[key] for n, m in medians.items() if n not in OURS and n not in RAW}
    if not ours or not peers:
        return "–"
    choose = max if more else min
    best = choose(peers, key=peers.__getitem__)
    return f"{choose(ours) / peers[best]:.2f} × {best}"
