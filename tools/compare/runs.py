"""One run of one side: its worker and its publisher, in a virtual host of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.marks import Marks
from benchmarks.processes import Process
from benchmarks.runs import ROOT, RunFailed
from rmqwork.testing.broker import Broker, vhost
from tools.compare.builds import Build, BuildFailed
from tools.compare.measured import QUEUE

STAGED = (
    "benchmarks/__init__.py",
    "benchmarks/marks.py",
    "tools/__init__.py",
    "tools/compare/__init__.py",
    "tools/compare/measured.py",
)
"""All that is on the path of a measured process besides the packages of its environment."""
RUN_TIMEOUT: float = 120.0
"""Seconds after which a step of a run has failed."""
LOOK_INTERVAL: float = 0.5
"""Seconds between two looks at the worker that a publisher waits for."""
LOG_EXCERPT = 1500
"""Characters of a log that a failure shows."""


def stage_programs(folder: Path) -> None:
    """Copy the measured programs into a folder that has no rmqwork in it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in STAGED:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)


@dataclass(frozen=True)
class Stage:
    """The place of all runs.

    Args:
        broker: of both sides.
        programs: the folder that `stage_programs` has filled.
    """

    broker: Broker
    programs: Path


class Run:
    """A run of one side.

    Args:
        build: of the side.
        programs: the folder of the measured programs.
        url: of the virtual host.
        folder: for marks and logs.
    """

    def __init__(self, build: Build, programs: Path, url: str, folder: Path) -> None:
        self._build = build
        self._programs = programs
        self._folder = folder
        self._environment = environment(programs) | {
            "RMQWORK_BROKER": url,
            "COMPARE_MARKS": str(folder / "marks"),
        }
        self.marks: Marks

    def prepare(self, count: int) -> None:
        """Make fresh marks."""
        path = self._folder / "marks"
        path.unlink(missing_ok=True)
        self.marks = Marks(path, count)

    def publish(
        self, verb: str, size: int, times: int = 1, worker: Process | None = None
    ) -> dict[str, float]:
        """Run the publisher to its end; returns its ``seconds`` and ``cpu``.

        Args:
            verb: of `tools.compare.measured`.
            size: messages, members or steps.
            times: how often.
            worker: the one that the publisher waits for, if it does.

        Raises:
            RunFailed: it has failed, or took longer than `RUN_TIMEOUT`, or the worker has ended.
        """
        module = ["-m", "tools.compare.measured"]
        with subprocess.Popen(
            [str(self._build.python), *module, verb, str(size), str(times)],
            env={**os.environ, **self._environment},
            cwd=self._programs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as publisher:
            try:
                output, errors = self._ended(publisher, verb, worker)
            finally:
                publisher.kill()
        if publisher.returncode:
            raise RunFailed(f"{verb} failed: {errors[-LOG_EXCERPT:]}")
        figures: dict[str, float] = json.loads(output.splitlines()[-1])
        return figures

    def _ended(
        self, publisher: subprocess.Popen[str], verb: str, worker: Process | None
    ) -> tuple[str, str]:
        end = time.monotonic() + RUN_TIMEOUT
        while True:
            try:
                return publisher.communicate(timeout=LOOK_INTERVAL)
            except subprocess.TimeoutExpired:
                if worker is not None and worker.ended:
                    raise RunFailed(f"the worker ended during {verb}; {self._log()}") from None
                if time.monotonic() > end:
                    late = f"{verb} took more than {RUN_TIMEOUT:g} s"
                    raise RunFailed(f"{late}; {self._log()}") from None

    @contextlib.contextmanager
    def worker(self) -> Iterator[Process]:
        """Run a worker in this context, by the command line that a user takes."""
        command = [str(self._build.rmqwork), "worker", "tools.compare.measured:app", "-Q", QUEUE]
        command += ["-p", "1", "-c", "8", "--log-level", "warning"]
        process = Process(command, self._environment, self._folder / "log", self._programs)
        try:
            yield process
        finally:
            process.stop()

    def wait(self, done: Callable[[], object], worker: Process, interval: float = 0.02) -> None:
        """Wait until a condition is true.

        Raises:
            RunFailed: the worker has ended, or it took longer than `RUN_TIMEOUT`.
        """
        end = time.monotonic() + RUN_TIMEOUT
        while not done():
            if worker.ended or time.monotonic() > end:
                how = "ended" if worker.ended else f"was not through after {RUN_TIMEOUT:g} s"
                count = len(self.marks.finished())
                raise RunFailed(f"the worker {how}, {count} tasks done; {self._log()}")
            time.sleep(interval)

    def _log(self) -> str:
        log = self._folder / "log"
        text = log.read_text(errors="replace").strip()[-LOG_EXCERPT:] if log.exists() else ""
        return f"worker's log: {text or 'empty'}"


def environment(programs: Path) -> dict[str, str]:
    """Return the variables of all measured processes."""
    return {"PYTHONPATH": str(programs), "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "ignore"}


@contextlib.contextmanager
def opened(stage: Stage, build: Build) -> Iterator[Run]:
    """Make a virtual host and a folder for one run; both are removed at its end."""
    with (
        vhost(stage.broker) as url,
        tempfile.TemporaryDirectory(prefix="rmqwork-compare-") as folder,
    ):
        yield Run(build, stage.programs, url, Path(folder))


def check_place(build: Build, programs: Path) -> None:
    """See that the processes of a build import the rmqwork of its own environment.

    Raises:
        BuildFailed: they import another one, or none.
    """
    command = [str(build.python), "-c", "import rmqwork; print(rmqwork.__file__)"]
    ended = subprocess.run(
        command,
        env={**os.environ, **environment(programs)},
        cwd=programs,
        capture_output=True,
        text=True,
        check=False,
    )
    place = Path(ended.stdout.strip() or ".")
    if ended.returncode or not place.is_relative_to(build.python.parents[1]):
        raise BuildFailed(f"{build.python} imports rmqwork from {place}: {ended.stderr.strip()}")
