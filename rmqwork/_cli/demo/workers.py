"""Workers as processes of their own: started, told to leave, and waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APP: Final = "rmqwork._cli.demo.app:app"
_PATIENCE: Final = 40.0  # seconds; a worker's own grace is 25
_TAIL: Final = 12
_DIE_WITH_US: Final = (
    "import os, signal, sys\n"
    "from rmqwork._executor.process_setup import die_with_parent\n"
    "die_with_parent(signal.SIGTERM, int(sys.argv[1]))\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])\n"
)
"""So that a demo that is killed leaves no workers behind: ``exec`` keeps this wish (prctl(2))."""


class WorkerFailed(Exception):
    """A worker ended when nobody had asked it to; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Departure:
    """How a worker left."""

    name: str
    exit_code: int
    seconds: float

    def __str__(self) -> str:
        if self.exit_code < 0:
            how = f"was killed by signal {-self.exit_code}"
        else:
            how = f"exit code {self.exit_code}"
        return f"{self.name}: {how}, {self.seconds:.1f} s after SIGTERM"


class Worker:
    """One ``rmqwork worker`` process; its log, in JSON, goes to a file.

    Args:
        name: for people.
        queue: the one that it serves.
        processes: executor processes.
        environment: variables besides our own.
        logs: the folder for its log.
    """

    def __init__(
        self, name: str, queue: str, processes: int, environment: Mapping[str, str], logs: Path
    ) -> None:
        self.name = name
        self.queue = queue
        self.log = logs / f"{name}.log"
        command = [sys.executable, "-c", _DIE_WITH_US, str(os.getpid())]
        command += ["-m", "rmqwork", "worker", APP, "-Q", queue]
        command += ["-p", str(processes), "-c", "4", "--log-format", "json", "--name", name]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is for the demo, which then tells the workers.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def check(self) -> None:
        """See that it still runs.

        Raises:
            WorkerFailed: it does not.
        """
        code = self._process.poll()
        if code is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
            text = "\n  ".join(lines) or "(its log is empty)"
            raise WorkerFailed(f"worker {self.name} ended with exit code {code}:\n  {text}")

    async def leave(self) -> Departure:
        """SIGTERM, and wait until it has left; one that does not leave is killed."""
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, _PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        return Departure(self.name, self._process.returncode, time.monotonic() - started)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()


async def leave_all(workers: Sequence[Worker]) -> list[Departure]:
    """Tell all to leave, at once, and wait for them."""
    return list(await asyncio.gather(*(worker.leave() for worker in workers)))
