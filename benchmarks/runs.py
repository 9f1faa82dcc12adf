"""One run of one contender at one workload, in a virtual host of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pika

from benchmarks.marks import Marks
from benchmarks.plan import Contender, Workload
from benchmarks.processes import Process
from rmqwork.testing.broker import Broker, vhost

ROOT = Path(__file__).resolve().parents[1]
SKIP = 0.1
"""The share of a run that is left out at its beginning."""
Figures = dict[str, float]


class RunFailed(Exception):
    """A run did not come to its end; the text says what its worker wrote."""


@dataclass
class Stage:
    """Where runs happen.

    Args:
        broker: on which virtual hosts can be made.
        peers: the interpreter of the peers' environment.
        native: the C client, or None.
        scale: of all numbers of messages; 1 = as planned.
    """

    broker: Broker
    peers: Path
    native: Path | None
    scale: float = 1.0
    timeout: float = 120.0

    def count(self, planned: float) -> int:
        """A number of messages at this scale."""
        return max(20, int(planned * self.scale))


class Run:
    """A contender at a workload.

    Args:
        stage: where.
        contender: who.
        workload: what.
        url: of the virtual host.
        folder: for marks and logs.
    """

    def __init__(
        self, stage: Stage, contender: Contender, workload: Workload, url: str, folder: Path
    ) -> None:
        self.stage = stage
        self.contender = contender
        self.workload = workload
        self.url = url
        self._folder = folder
        self.marks: Marks
        self._environment = self._settings()

    def _settings(self) -> dict[str, str]:
        options = self.workload.options
        parts = urlsplit(self.url)
        return {
            "BENCH_URL": self.url,
            "BENCH_HOST": parts.hostname or "127.0.0.1",
            "BENCH_PORT": str(parts.port or 5672),
            "BENCH_USER": unquote(parts.username or "guest"),
            "BENCH_PASSWORD": unquote(parts.password or "guest"),
            "BENCH_VHOST": unquote(parts.path[1:]) or "/",
            "BENCH_MARKS": str(self._folder / "marks"),
            "BENCH_SETTINGS": str(options.get("settings", "reliable")),
            "BENCH_PROCESSES": str(options.get("processes", 1)),
            "BENCH_CONCURRENCY": "8",
            "BENCH_QUEUES": str(options.get("queues", 1)),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            **self.contender.environment.get(self.workload.kind, {}),
        }

    def set(self, **settings: object) -> None:
        """Change the settings of what is started from now on."""
        self._environment |= {f"BENCH_{name.upper()}": str(val) for name, val in settings.items()}

    def kind(self, name: str) -> str:
        """What this contender calls a kind of tasks."""
        return self.contender.task.get(name, name)

    def prepare(self, count: int) -> None:
        """Make the marks for so many messages."""
        path = self._folder / "marks"
        path.unlink(missing_ok=True)
        self.marks = Marks(path, count)

    def publish(self, mode: str, count: int, *, kind: str = "noop", size: int = 256) -> Figures:
        """Have the contender publish; see `benchmarks.stage.Publishers`."""
        command = self._command("publish", mode, self.kind(kind), str(count), str(size))
        ended = subprocess.run(
            command,
            env={**os.environ, **self._environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=self.stage.timeout * 2,
            check=False,
        )
        if ended.returncode:
            raise RunFailed(f"{' '.join(command[2:])}: {ended.stderr[-2000:]}")
        figures: Figures = json.loads(ended.stdout.splitlines()[-1])
        figures["rate"] = figures["count"] / figures["seconds"]
        figures["cpu_per_1000"] = figures["cpu"] / figures["count"] * 1000
        return figures

    def native(self, verb: str, at_once: int, count: int, size: int = 256) -> Figures:
        """Have the C client publish or drain."""
        command = [str(self.stage.native), verb, str(at_once), str(count), str(size)]
        output = subprocess.check_output(
            command, env={**os.environ, **self._environment}, timeout=self.stage.timeout
        )
        figures: Figures = json.loads(output)
        figures["rate"] = figures["count"] / figures["seconds"]
        figures["cpu_per_1000"] = figures["cpu"] / figures["count"] * 1000
        return figures

    @contextlib.contextmanager
    def worker(self) -> Iterator[Process]:
        """The contender's worker, while this lasts."""
        process = Process(
            self._command("worker"), self._environment, self._folder / "worker.log", ROOT
        )
        try:
            yield process
        finally:
            process.stop()

    def wait(self, done: Callable[[], object], worker: Process, every: float = 0.02) -> None:
        """Wait until something is true."""
        end = time.monotonic() + self.stage.timeout
        while not done():
            if worker.ended or time.monotonic() > end:
                text = worker.log.read_text(errors="replace")[-2000:]
                how = "ended" if worker.ended else "took too long"
                raise RunFailed(f"the worker {how}: {len(self.marks.finished())} done: {text}")
            time.sleep(every)

    def wait_for_consumer(self, worker: Process) -> None:
        """Wait until the worker consumes."""

        def consumed() -> bool:
            try:
                connection = pika.BlockingConnection(pika.URLParameters(self.url))
                try:
                    reply = connection.channel().queue_declare(self.contender.queue, passive=True)
                    return bool(reply.method.consumer_count)
                finally:
                    if connection.is_open:
                        connection.close()
            except pika.exceptions.AMQPError:
                return False

        self.wait(consumed, worker, 0.1)
        time.sleep(0.5)

    def _command(self, *arguments: str) -> list[str]:
        python = sys.executable if self.contender.own else str(self.stage.peers)
        module = f"benchmarks.contenders.{self.contender.module}"
        return [python, "-m", module, *arguments]


def run(stage: Stage, contender: Contender, workload: Workload) -> Figures:
    """One run.

    Raises:
        RunFailed: it did not come to its end.
    """
    from benchmarks import measures

    measure: Callable[[Run], Figures] = getattr(measures, workload.kind)
    with vhost(stage.broker) as url, tempfile.TemporaryDirectory(prefix="rmqwork-bench-") as folder:
        return measure(Run(stage, contender, workload, url, Path(folder)))


def environment_of(stage: Stage) -> Mapping[str, str]:
    """The versions of all packages of the peers' environment."""
    text = subprocess.check_output(
        [str(stage.peers), "-m", "pip", "list", "--format", "json"], text=True
    )
    return {one["name"].lower(): one["version"] for one in json.loads(text)}
