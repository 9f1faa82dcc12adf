"""One picture of a run: faults over throughput, as an HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from tools.chaos.blame import BROKER, Break
from tools.chaos.ledger import Line, breaks
from tools.chaos.result import Result

_WIDTH: Final = 1500
_LEFT: Final = 90
_LANE: Final = 17
_CHART: Final = 220
_BIN: Final = 0.5
_COLORS: Final = {"confirm": "#2563eb", "end": "#16a34a", "start": "#9ca3af", "dead": "#b91c1c"}
_MEANING: Final = {
    "confirm": "publishes confirmed",
    "end": "tasks ended",
    "start": "tasks started",
    "dead": "dead letters found",
}
_STYLE: Final = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 24px; color: #111; background: #fff }
table { border-collapse: collapse; margin: 12px 0 } td, th { padding: 2px 14px 2px 0;
text-align: left; vertical-align: top } .bad { color: #b91c1c; font-weight: 600 }
svg { max-width: 100%; height: auto } text { font: 11px system-ui, sans-serif; fill: #333 }
"""


def write_timeline(path: Path, result: Result) -> None:
    """Write the picture of a run.

    Args:
        path: of the HTML file.
        result: of the run.
    """
    lines = result.lines
    began, ended = lines[0].at, lines[-1].at
    span = max(1.0, ended - began)
    lanes, drawn = _faults(_nemesis(breaks(lines)), began, span)
    top = lanes * _LANE + 10
    height = top + _CHART + 40
    parts = [drawn, _chart(lines, began, span, top), _axis(span, top)]
    verdict = "the promise was kept" if result.good else "THE PROMISE WAS BROKEN"
    style = "" if result.good else ' class="bad"'
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{count}</td></tr>"
        for name, count in result.verdict.counts().items()
    )
    causes = "".join(
        f"<tr><td>{escape(name)}</td><td>{count}</td></tr>"
        for name, count in sorted(result.verdict.causes.items())
    )
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>chaos, seed '
        f"{result.seed}</title><style>{_STYLE}</style><h1>Seed {result.seed}: "
        f"<span{style}>{verdict}</span></h1>"
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" '
        f'aria-label="faults over throughput">{"".join(parts)}</svg>'
        f"<p>{_legend()}; counted in steps of {_BIN:g} s</p>"
        f"<table><tr><th>messages</th><th></th></tr>{rows}</table>"
        f"<table><tr><th>ended twice because of</th><th></th></tr>{causes}</table></html>\n"
    )


def _nemesis(faults: Sequence[Break]) -> list[Break]:
    """Without the deaths that tasks bring about."""
    return [fault for fault in faults if "/" not in fault.target]


def _x(at: float, span: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - 10) * at / span


def _faults(faults: Sequence[Break], began: float, span: float) -> tuple[int, str]:
    """Bars of the faults in as few lanes as keep their names apart; those of the broker first."""
    parts: list[str] = []
    lanes: list[float] = []
    first = 0
    for broker in (True, False):
        first = len(lanes)
        own = [fault for fault in faults if (fault.target == BROKER) is broker]
        own.sort(key=lambda fault: fault.begin)
        parts += [_bar(fault, began, span, lanes, first) for fault in own]
        label = "broker" if broker else "processes"
        parts.append(f'<text x="4" y="{first * _LANE + 13}">{label}</text>')
    return len(lanes), "".join(parts)


def _bar(fault: Break, began: float, span: float, lanes: list[float], first: int) -> str:
    x = _x(fault.begin - began, span)
    end = _x(min(fault.end - began, span), span)
    broker = fault.target == BROKER
    name = fault.name if broker else f"{fault.name} {fault.target}"
    needed = max(end, x + 3) + 6.2 * len(name) + 8
    lane = next((i for i in range(first, len(lanes)) if lanes[i] <= x), len(lanes))
    if lane == len(lanes):
        lanes.append(0.0)
    lanes[lane] = needed
    y, color = lane * _LANE + 3, "#dc2626" if broker else "#ea580c"
    width = max(3.0, end - x)
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_LANE - 5}" fill="{color}" '
        f'rx="2"><title>{escape(name)}: {fault.begin - began:.1f} s to {fault.end - began:.1f} s'
        f"</title></rect>"
        f'<text x="{x + width + 3:.1f}" y="{y + 10}">{escape(name)}</text>'
        + (
            f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="2000" fill="#dc2626" '
            'opacity="0.06"/>'
            if broker
            else ""
        )
    )


def _chart(lines: Sequence[Line], began: float, span: float, top: int) -> str:
    bins = int(span / _BIN) + 1
    counts = {kind: [0] * bins for kind in _COLORS}
    for line in lines:
        if line.kind in counts:
            counts[line.kind][int((line.at - began) / _BIN)] += 1
    most = max(1, *(max(row) for kind, row in counts.items() if kind != "dead"))
    parts = []
    for kind, row in counts.items():
        points = " ".join(
            f"{_x(index * _BIN, span):.1f},{top + _CHART * (1 - min(1.0, count / most)):.1f}"
            for index, count in enumerate(row)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_COLORS[kind]}" stroke-width="1.4"/>'
        )
    for share in (0.0, 0.5, 1.0):
        y = top + _CHART * (1 - share)
        parts.append(f'<text x="4" y="{y + 4:.0f}">{most * share / _BIN:.0f}/s</text>')
        parts.append(f'<path d="M{_LEFT} {y:.0f}H{_WIDTH - 10}" stroke="#e5e7eb"/>')
    return "".join(parts)


def _axis(span: float, top: int) -> str:
    step = 5 if span < 150 else 20
    return "".join(
        f'<text x="{_x(second, span):.0f}" y="{top + _CHART + 16}">{second} s</text>'
        for second in range(0, int(span) + 1, step)
    )


def _legend() -> str:
    return ", ".join(
        f'<span style="color:{color}">■</span> {_MEANING[kind]}' for kind, color in _COLORS.items()
    )
