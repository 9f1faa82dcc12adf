"""How busy the machine is: what is measured on it is that much late by itself."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from deploy.proof.load import percentile

_INTERVAL = 0.005


class Machine:
    """Watches from a thread of its own how late it wakes up, and how much CPU is used.

    A thread that sleeps for 5 ms and wakes up 50 ms late has waited for a core: everything that is
    measured in its process, and in others of the same priority, is late by as much.
    """

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        self._cpu: list[tuple[float, int, int]] = []
        self._load: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        self._thread.join()

    def between(self, since: float, until: float) -> str:
        """What was seen in a window, for people."""
        late = sorted(ms for at, ms in self._late if since <= at < until)
        points = [one for one in self._cpu if since <= one[0] < until] or self._cpu
        busy = points[-1][1] - points[0][1]
        whole = max(1, points[-1][2] - points[0][2])
        load = percentile(sorted(one for at, one in self._load if since <= at < until), 0.5)
        return (
            f"{busy / whole:.0%} of {os.cpu_count()} cores busy, load {load:.1f}; "
            f"a thread wakes up late by p50 {percentile(late, 0.5):.1f} ms, "
            f"p99 {percentile(late, 0.99):.1f} ms"
        )

    def _watch(self) -> None:
        due = 0.0
        while not self._stop.is_set():
            before = time.monotonic()
            time.sleep(_INTERVAL)
            now = time.monotonic()
            self._late.append((time.time(), (now - before - _INTERVAL) * 1000))
            if now >= due:
                due = now + 0.5
                self._cpu.append((time.time(), *_jiffies()))
                self._load.append((time.time(), os.getloadavg()[0]))


def _jiffies() -> tuple[int, int]:
    """Jiffies of all cores since the boot: busy, and all (proc(5), ``/proc/stat``)."""
    fields = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)
