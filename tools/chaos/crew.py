"""The processes of a run: workers and producers, kept alive as an orchestrator would do it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from tools.chaos.app import LEDGER_VARIABLE, WHO_VARIABLE

APP: Final = "tools.chaos.app:app"
_ROOT: Final = Path(__file__).resolve().parents[2]
"""The working directory of all processes: they import `tools`, which is installed nowhere."""
_RESTART_AFTER: Final = 0.3
_LEAVE: Final = 45.0
"""Seconds to leave in after SIGTERM; a worker's own grace is 25."""
_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1
_TEMPLATE: Final = b"rmqwork._executor.template"


@dataclass(slots=True)
class Departure:
    """How a process ended: its name, exit code (negative: by a signal), whether it was told to."""

    who: str
    code: int
    told: bool


@dataclass(slots=True, eq=False)
class Post:
    """A place that is never empty for long: when its process ends, the next one is started.

    Args:
        name: of the place, such as ``w1``.
        command: of its process, from the name of the process.
    """

    name: str
    command: Callable[[str], list[str]]
    process: subprocess.Popen[bytes] | None = None
    incarnation: int = 0
    told: bool = False
    free_since: float = 0.0

    @property
    def who(self) -> str:
        """The name of its process: its place and which of them it is."""
        return f"{self.name}.{self.incarnation}"

    @property
    def pid(self) -> int | None:
        """Its living process."""
        return self.process.pid if self.process is not None else None


@dataclass(slots=True)
class Crew:
    """All processes of a run.

    Args:
        environment: of them, besides our own.
        ledger: the path of the ledger.
        logs: the folder of their logs.
    """

    environment: dict[str, str]
    ledger: Path
    logs: Path
    workers: list[Post] = field(default_factory=list)
    producers: list[Post] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _manned: set[str] = field(default_factory=set)

    def hire(self, workers: int, processes: int, producers: int, seed: int, rate: float) -> None:
        """Set up the posts.

        Args:
            workers: how many.
            processes: executors of each.
            producers: how many.
            seed: of what they publish.
            rate: of all producers together, publishes a second.
        """
        for number in range(1, workers + 1):
            self.workers.append(Post(f"w{number}", lambda who: _worker(who, processes)))
        for number in range(1, producers + 1):
            self.producers.append(
                Post(f"p{number}", lambda who: _producer(f"{seed}-{who}", rate / producers))
            )

    def man(self, posts: Sequence[Post]) -> None:
        """Keep these posts manned from now on."""
        with self._lock:
            self._manned |= {post.name for post in posts}
        self.look()

    def look(self) -> None:
        """Note who has ended, and fill empty posts."""
        with self._lock:
            for post in (*self.workers, *self.producers):
                self._look_at(post)

    def _look_at(self, post: Post) -> None:
        if post.process is not None and (code := post.process.poll()) is not None:
            self.departures.append(Departure(post.who, code, post.told))
            post.process, post.free_since = None, monotonic()
        if post.process is None and post.name in self._manned:
            if post.incarnation and monotonic() - post.free_since < _RESTART_AFTER:
                return
            post.incarnation += 1
            post.told = False
            post.process = self._start(post)

    def _start(self, post: Post) -> subprocess.Popen[bytes]:
        with (self.logs / f"{post.who}.log").open("ab") as log:
            return subprocess.Popen(
                post.command(post.who),
                env={
                    **os.environ,
                    **self.environment,
                    LEDGER_VARIABLE: str(self.ledger),
                    WHO_VARIABLE: post.who,
                },
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_the_campaign,
            )

    def signal(self, post: Post, number: signal.Signals, pid: int | None = None) -> None:
        """Send a signal to a post's process, or to one below it, if it lives."""
        with self._lock:
            if post.process is None or post.process.poll() is not None:
                return
            if pid is None and number is signal.SIGTERM:
                post.told = True
            with suppress(ProcessLookupError):
                os.kill(pid or post.process.pid, number)

    def dismiss(self, posts: Sequence[Post]) -> list[Departure]:
        """SIGTERM to all of these, wait until they have left, kill those that do not."""
        with self._lock:
            self._manned -= {post.name for post in posts}
        before = len(self.departures)
        for post in posts:
            self.signal(post, signal.SIGCONT)
            self.signal(post, signal.SIGTERM)
        until = monotonic() + _LEAVE
        for post in posts:
            if (process := post.process) is not None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, until - monotonic()))
        self.kill(posts)
        self.look()
        return self.departures[before:]

    def kill(self, posts: Sequence[Post]) -> None:
        """SIGKILL, for those who are left."""
        with self._lock:
            self._manned -= {post.name for post in posts}
            for post in posts:
                if post.process is not None and post.process.poll() is None:
                    post.process.kill()
                    post.process.wait()

    def close(self) -> None:
        """End everything."""
        self.kill((*self.workers, *self.producers))


def _end_with_the_campaign() -> None:
    """Nothing is left behind by a campaign that is killed (prctl(2); Linux only).

    The processes are started in the main thread, which lives as long as the campaign.
    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _worker(who: str, processes: int) -> list[str]:
    command = [sys.executable, "-m", "rmqwork", "worker", APP, "-p", str(processes), "-c", "4"]
    return [*command, "--name", who, "--log-format", "human", "--grace", "10"]


def _producer(seed: str, rate: float) -> list[str]:
    return [sys.executable, "-m", "tools.chaos.producer", seed, str(rate)]


def template_of(pid: int) -> int | None:
    """The template process of a worker process."""
    for child in children_of(pid):
        with suppress(OSError):
            if _TEMPLATE in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return None


def executors_of(pid: int) -> list[int]:
    """The executor processes of a worker process."""
    template = template_of(pid)
    return [] if template is None else children_of(template)


def children_of(pid: int) -> list[int]:
    """The child processes of a process (proc(5): ``/proc/PID/task/TID/children``)."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return sorted(found)
