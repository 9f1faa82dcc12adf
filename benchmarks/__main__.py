"""``python -m benchmarks``: the series, its report, and its charts. See README.md."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from pathlib import Path

from benchmarks.plan import DEFAULTS, DEPTHS, OWN, PEERS, WORKLOADS, Workload
from benchmarks.report import markdown
from benchmarks.runs import Stage, environment_of
from benchmarks.series import Series
from rmqwork.testing.broker import start_broker

FOLDER = Path(__file__).resolve().parent
QUICK = ("each", "flight", "drain", "latency", "start")


def main() -> int:
    """Run it."""
    options = _options()
    stage_venv = peers(options.venv)
    binary = native(options.folder) if not options.no_native else None
    workloads = chosen(options)
    options.folder.mkdir(parents=True, exist_ok=True)
    with start_broker() as broker:
        stage = Stage(broker, stage_venv, binary, options.scale)
        say(f"{len(workloads)} workloads, {options.rounds} rounds, scale {options.scale:g}")
        versions = environment_of(stage)
        series = Series(stage, workloads, options.only, say)
        began = time.monotonic()
        try:
            for number in range(options.rounds):
                for _ in series.round(number):
                    write(series, versions, options.folder)
        except KeyboardInterrupt:
            say("interrupted: what was measured so far is written")
        write(series, versions, options.folder)
        say(f"{time.monotonic() - began:.0f} s")
    charts = [str(stage_venv), "-m", "benchmarks.charts", str(options.folder / "results.json")]
    return subprocess.call(charts, cwd=FOLDER.parent)


def write(series: Series, versions: Mapping[str, str], folder: Path) -> None:
    """Write the JSON file and the table."""
    result = {**series.result(), "peers": versions}
    (folder / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "results.md").write_text(markdown(result))


def chosen(options: argparse.Namespace) -> list[Workload]:
    """The workloads that the options name."""
    if options.workloads:
        known = {one.name: one for one in WORKLOADS}
        unknown = [name for name in options.workloads if name not in known]
        if unknown:
            sys.exit(f"no workload {', '.join(unknown)}; there are {', '.join(known)}")
        return [known[name] for name in options.workloads]
    if options.quick:
        return [one for one in PEERS if one.name in QUICK]
    deep = [one for one in DEPTHS if int(one.options["depth"]) <= options.depth]
    return [*PEERS, *OWN, *deep, *DEFAULTS]


def peers(folder: Path) -> Path:
    """The interpreter of the peers' environment, which is made if it is not there."""
    python = folder / "bin" / "python"
    wanted = (FOLDER / "requirements.txt").read_text()
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        say(f"installing the peers into {folder}")
        venv.create(folder, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "-q", "-r", str(FOLDER / "requirements.txt")]
        subprocess.check_call([str(python), *install])
        stamp.write_text(wanted)
    return python


def native(folder: Path) -> Path | None:
    """The C client, compiled; None where there is no compiler or no librabbitmq."""
    folder.mkdir(parents=True, exist_ok=True)
    source, binary = FOLDER / "native" / "limit.c", folder / "limit"
    command = ["gcc", "-O2", "-o", str(binary), str(source), "-lrabbitmq"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", None) or str(error)
        say(f"without the C client (apt-get install gcc librabbitmq-dev): {why.strip()[:200]}")
        return None
    return binary


def say(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the main workloads, in 3 minutes")
    parser.add_argument("--rounds", type=int, help="default: 5, quick: 2")
    parser.add_argument("--scale", type=float, help="of all numbers; default: 1, quick: 0.2")
    parser.add_argument("--depth", type=int, default=100_000, help="the deepest queue")
    parser.add_argument("--workloads", nargs="*", metavar="NAME")
    parser.add_argument("--only", nargs="*", metavar="CONTENDER")
    parser.add_argument("--no-native", action="store_true", help="without the C client")
    parser.add_argument("--folder", type=Path, default=Path(".rmqwork/benchmarks"))
    parser.add_argument("--venv", type=Path, default=Path(".rmqwork/peers"))
    options = parser.parse_args()
    options.folder, options.venv = options.folder.resolve(), options.venv.resolve()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.scale = options.scale or (0.2 if options.quick else 1.0)
    return options


if __name__ == "__main__":
    sys.exit(main())
