"""``python -m benchmarks.growth``: how rates grow with queues, partitions and worker processes.

Needs a broker (``--broker``) and writes a table, with ``--json`` all figures. A drain starts when
all workers are up: what ran before that is left out. Rounds are interleaved, figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.marks import Marks
from benchmarks.processes import Process

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180.0
"""Seconds after which a drain is given up."""
COUNTS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Case:
    """One thing that is measured.

    Args:
        kind: ``publish`` or ``drain``.
        messages: how many.
        queues: that they are spread over.
        partitions: of one queue instead; 0 = none.
        workers: worker processes, each with one executor of 8 threads.
    """

    kind: str
    messages: int
    queues: int = 1
    partitions: int = 0
    workers: int = 0

    @property
    def title(self) -> str:
        """For people."""
        what = f"{self.partitions} partitions" if self.partitions else f"{self.queues} queues"
        who = f", {self.workers} workers" if self.workers else ""
        return f"{self.kind}, {what}{who}"


def cases(scale: float) -> list[Case]:
    """All of them, the smallest of each kind before the others."""
    many, few = round(20_000 * scale), round(2_000 * scale)
    found = [Case("publish", many, queues=count) for count in COUNTS]
    found += [Case("drain", many, queues=count, workers=1) for count in COUNTS]
    found += [Case("drain", many, workers=workers) for workers in (2, 4)]
    found += [Case("drain", many, queues=8, workers=workers) for workers in (2, 4)]
    found += [Case("drain", few * count, partitions=count, workers=1) for count in COUNTS]
    return found


class Ground:
    """Where cases run.

    Args:
        broker: its address; the queues ``growth-…`` in it are made and deleted.
        folder: for marks and logs.
    """

    def __init__(self, broker: str, folder: Path) -> None:
        self._broker = broker
        self._folder = folder

    def run(self, case: Case) -> float | None:
        """Messages a second; None = it was over before all workers were up."""
        environment = {
            "RMQWORK_BROKER": self._broker,
            "GROWTH_QUEUES": str(case.queues),
            "GROWTH_PARTITIONS": str(case.partitions),
            "GROWTH_FOLDER": str(self._folder),
            "PYTHONPATH": str(ROOT),
        }
        for path in self._folder.glob("up-*"):
            path.unlink()
        marks = Marks(self._folder / "marks", case.messages)
        self._call("delete", case, environment)
        try:
            rate = float(self._call("publish", case, environment))
            return rate if case.kind == "publish" else self._drain(case, marks, environment)
        finally:
            self._call("delete", case, environment)

    def _call(self, verb: str, case: Case, environment: Mapping[str, str]) -> str:
        """Do something in a process that has the case's app."""
        command = [sys.executable, "-m", "benchmarks.growth", "--verb", verb]
        command += ["--messages", str(case.messages), "--folder", str(self._folder)]
        return subprocess.run(
            command, env={**os.environ, **environment}, check=True, capture_output=True, text=True
        ).stdout

    def _drain(self, case: Case, marks: Marks, environment: Mapping[str, str]) -> float | None:
        options = ["-p", "1", "-c", "8", "--log-level", "warning"]
        command = [sys.executable, "-m", "rmqwork", "worker", "benchmarks.growing:app", *options]
        log = self._folder / "workers.log"
        workers = [Process(command, environment, log, ROOT) for _ in range(case.workers)]
        try:
            end = time.monotonic() + PATIENCE
            while not marks.all_done():
                if time.monotonic() > end or any(worker.ended for worker in workers):
                    raise SystemExit(f"{case.title}: not drained; see {log}")
                time.sleep(0.05)
        finally:
            for worker in workers:
                worker.stop()
        began = max(float(path.read_text()) for path in self._folder.glob("up-*"))
        done = marks.finished()
        counted = [at for at in done if at >= began][len(done) // 50 :]
        if len(counted) < len(done) // 4:
            return None
        return (len(counted) - 1) / (counted[-1] - counted[0])


def measure(options: argparse.Namespace) -> Iterator[tuple[Case, float]]:
    """All rounds."""
    with tempfile.TemporaryDirectory(prefix="rmqwork-growth-") as folder:
        ground = Ground(options.broker, Path(folder))
        for number in range(options.rounds):
            for case in cases(options.scale):
                rate = ground.run(case)
                if rate is None:
                    print(f"{case.title}: too short, raise --scale", file=sys.stderr)
                    continue
                print(f"round {number + 1}: {case.title}: {rate:,.0f}/s", file=sys.stderr)
                yield case, rate


def table(found: Mapping[Case, list[float]]) -> str:
    """The medians, and what each is to the first of its kind."""
    lines = ["| | median, 1/s | spread | times the first |", "| --- | --- | --- | --- |"]
    first: dict[tuple[str, bool], float] = {}
    for case, rates in found.items():
        median = statistics.median(rates)
        base = first.setdefault((case.kind, bool(case.partitions)), median)
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        lines.append(f"| {case.title} | {median:,.0f} | {spread} | {median / base:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, or do one thing in the app of a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--broker", default=os.environ.get("RMQWORK_BROKER"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of messages")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--verb", choices=("publish", "delete"), help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.verb:
        within(options.verb, options.messages)
        return
    load = [os.getloadavg()[0]]
    found: dict[Case, list[float]] = {}
    for case, rate in measure(options):
        found.setdefault(case, []).append(rate)
        load.append(os.getloadavg()[0])
        if options.json:
            figures = [{**asdict(case), "rates": rates} for case, rates in found.items()]
            options.json.write_text(json.dumps({"load": load, "cases": figures}, indent=1) + "\n")
    print(table(found))
    print(f"\nload {min(load):.1f} to {max(load):.1f} on {os.cpu_count()} cores")


def within(verb: str, messages: int) -> None:
    """Publish the messages of a case, or delete its queues."""
    from benchmarks import growing

    if verb == "delete":
        import asyncio

        asyncio.run(_delete(growing.app))
        return
    targets = [growing.noop]
    if not growing.PARTITIONS:
        targets = [growing.noop.options(queue=name) for name in growing.app.queues]
    growing.app.publish_many([targets[0].s(0, "first")])  # connect and declare
    calls = [targets[n % len(targets)].s(n, growing.FILLING) for n in range(messages)]
    began = time.monotonic()
    growing.app.publish_many(calls)
    print(messages / (time.monotonic() - began))
    growing.app.close()


async def _delete(app: object) -> None:
    from rmqwork import App
    from rmqwork._topology.topology import DeclareQueue
    from rmqwork._transport.connecting import connect

    assert isinstance(app, App)
    link = await connect(app.settings.broker).open("rmqwork growth")
    for declaration in app.topology():
        if isinstance(declaration, DeclareQueue) and declaration.name.startswith("growth-"):
            await link.delete_queue(declaration.name)
    await link.close()


if __name__ == "__main__":
    main()
