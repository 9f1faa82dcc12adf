"""A worker from its start to its exit code, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN = """
import json, sys
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.starting import run_worker
from rmqwork.errors import RmqworkError

options = {"name": "me", "log_format": "json", "log_level": "DEBUG", "grace": 5.0}
try:
    print("exit code", run_worker(WorkerOptions(sys.argv[1], **options | json.loads(sys.argv[2]))))
except RmqworkError as error:
    print(f"{type(error).__name__}: {error}")
"""


class WholeWorker:
    """A worker's process, and what it says.

    Args:
        process: its process; ``stdout`` has its log, too.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.lines: Iterator[str] = iter(process.stdout.readline, "")

    def says(self, text: str) -> str:
        """Wait for a line of its log."""
        seen = []
        for line in self.lines:
            seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"it has ended without {text!r}: {''.join(seen)}")

    def end(self) -> list[str]:
        """Wait for its end; returns the rest of its lines."""
        rest = [line.rstrip() for line in self.lines]
        assert self.process.wait(60) == 0
        return rest


@contextmanager
def whole_worker(folder: Path, app: str, options: str = "{}") -> Iterator[WholeWorker]:
    """Run a worker whose app is in a folder.

    Args:
        folder: the app's.
        app: ``module:attribute``.
        options: further options, as a JSON object.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, app, options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield WholeWorker(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
