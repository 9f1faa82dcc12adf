"""Processes of contenders: started, looked at in ``/proc``, ended with all their children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A worker in a session of its own.

    Args:
        command: its arguments.
        environment: what it gets besides ours.
        log: where its output goes.
        folder: where it runs.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                cwd=folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def tree(self) -> list[int]:
        """Its process and all below it."""
        parents: dict[int, int] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (fields := _stat(int(entry))):
                parents[int(entry)] = int(fields[1])
        found = [self._process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu(self) -> float:
        """CPU seconds that all of its processes have used, with the dead children."""
        return sum(map(_cpu, self.tree()))

    def pss(self) -> float:
        """Megabytes of memory, what is shared counted by shares."""
        return sum(map(_pss, self.tree())) / 1024

    def stop(self, timeout: float = 15) -> None:
        """SIGTERM, and SIGKILL for what is left."""
        tree = self.tree()
        if not self.ended:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name: state, parent, …; empty if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _cpu(pid: int) -> float:
    """User and system seconds of a process and of its children that have ended.

    The process's own are read from its CPU clock, in nanoseconds: ``/proc`` counts in ticks of
    10 ms. Linux makes the clock's id of the process's id (``clock_getcpuclockid(3)``).
    """
    fields = _stat(pid)
    try:
        own = time.clock_gettime((~pid << 3) | 2)
    except OSError:
        own = sum(map(int, fields[11:13])) / TICKS  # it has ended, or this is no Linux clock
    return own + sum(map(int, fields[13:15])) / TICKS


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
