"""`Setup`: where the demo runs, and the worker processes that it starts there."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from rmqwork._cli.demo.app import FOLDER_VARIABLE

APP: Final = "rmqwork._cli.demo.app:app"
_LEAVE_TIMEOUT: Final = 40.0  # seconds; a worker's own grace is 25
_SHOWN_LINES: Final = 12
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
class Setup:
    """Where the demo runs.

    Args:
        url: addresses of a virtual host of its own.
        images: folder of the images that are published.
        thumbnails: folder of the thumbnails that the tasks make, and of their ledger.
        logs: folder of the workers' logs.
        source_url: address of the flaky source.
    """

    url: str
    images: Path
    thumbnails: Path
    logs: Path
    source_url: str

    @classmethod
    def make(cls, url: str, folder: Path, source_url: str) -> Self:
        """Make the folders in a folder."""
        made = cls(url, folder / "images", folder / "thumbnails", folder / "logs", source_url)
        for place in (made.images, made.thumbnails, made.logs):
            place.mkdir(exist_ok=True)
        return made

    def start_worker(self, name: str, queue: str, processes: int) -> Worker:
        """Start ``rmqwork worker``; its log, in JSON, goes to a file.

        Args:
            name: name of the worker, for people.
            queue: the queue that it serves.
            processes: number of its executor processes.
        """
        log = self.logs / f"{name}.log"
        command = [sys.executable, "-c", _DIE_WITH_US, str(os.getpid())]
        command += ["-m", "rmqwork", "worker", APP, "-Q", queue, "-p", str(processes), "-c", "4"]
        variables = {"RMQWORK_BROKER": self.url, FOLDER_VARIABLE: str(self.thumbnails)}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--log-format", "json", "--name", name],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is for the demo, which then tells the workers.
                start_new_session=True,
            )
        return Worker(name, queue, log, process)


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A worker process of the demo."""

    name: str
    queue: str
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """See that it still runs.

        Raises:
            WorkerFailed: it does not.
        """
        if (code := self.process.poll()) is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
            text = "\n  ".join(lines) or "(its log is empty)"
            raise WorkerFailed(f"worker {self.name} ended with exit code {code}:\n  {text}")

    async def leave(self) -> str:
        """Send SIGTERM, wait until it has left or kill it, and return a line that says how."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self.process.wait, _LEAVE_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        seconds, code = time.monotonic() - started, self.process.returncode
        how = f"exit code {code}" if code >= 0 else f"was killed by signal {-code}"
        return f"{self.name}: {how}, {seconds:.1f} s after SIGTERM"
