"""Workers, nodes, and the log of what ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.workflows.shop import app
from rmqwork._messages.ids import uuid7
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.flow import launch

Node = dict[str, Any]


def node(task: str, into: str | None = None, **body: object) -> Node:
    """A task's node."""
    made: Node = {"task": f"flows.{task}", "id": uuid7(), "exchange": "rmqwork.tasks"}
    made |= {"key": "work", "body": body}
    return made if into is None else {**made, "into": into}


def chord(size: int, run: str, seconds: float = 0.0, noted: bool = True) -> Node:
    """A group of so many members, and a body."""
    name = run if noted else ""
    members = [node("member", index=n, seconds=seconds, run=name) for n in range(size)]
    return {"chain": [{"group": members, "id": uuid7()}, node("body", "values", run=run)]}


def start(what: Node) -> None:
    """Publish what starts a workflow, and wait for the confirms."""
    app._sender.send_many(launch(what, None, "", WorkflowContext(uuid7(), time.time())), 60.0)


class Log:
    """What tasks have noted.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("")

    def lines(self, run: str, key: str) -> list[dict[str, Any]]:
        """The notes of a run that have a key."""
        found = (json.loads(line) for line in self.path.read_text().splitlines())
        return [note for note in found if note["run"] == run and key in note]

    def wait(self, run: str, key: str, count: int = 1, every: float = 0.02) -> dict[str, Any]:
        """Wait until a run has so many notes with a key; returns the first.

        Raises:
            TimeoutError: it has not, within 5 minutes.
        """
        end = time.monotonic() + 300
        while len(found := self.lines(run, key)) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} notes {key!r} of run {run}")
            time.sleep(every)
        return found[0]


class Workers:
    """Worker processes.

    Args:
        broker: address.
        log: where tasks note what they do.
        options: of the command line.
    """

    def __init__(self, broker: str, log: Log, *options: str) -> None:
        self._env = {**os.environ, "RMQWORK_BROKER": broker, "WORKFLOWS_LOG": str(log.path)}
        self._options = options
        self._all: list[subprocess.Popen[bytes]] = []
        self._output = log.path.with_suffix(".workers").open("ab")

    def start(self) -> subprocess.Popen[bytes]:
        """One more."""
        command = [sys.executable, "-m", "rmqwork", "worker", "benchmarks.workflows.shop:app"]
        worker = subprocess.Popen(
            [*command, "--log-level", "warning", *self._options],
            env=self._env,
            stdout=self._output,
            stderr=self._output,
        )
        self._all.append(worker)
        return worker

    def stop(self) -> Iterator[int]:
        """End all; gives their exit codes."""
        for worker in self._all:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self._all:
            yield worker.wait(60)
