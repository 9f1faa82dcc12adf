"""`Death`: how an executor process ended, and what it left."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from rmqwork._worker.ipc.crash_log import CrashLog


@dataclass(frozen=True, slots=True)
class Death:
    """How an executor ended, and what it left.

    Args:
        pid: its process, or None if there never was one.
        exit_code: if it exited.
        signal: if a signal ended it.
        peak_memory: bytes, its largest resident set; 0 = unknown.
        error: why it never became ready: it could not be forked, its import or its lifespan failed.
        unfinished: deliveries that were started and whose outcome has not come: the suspects.
            With their start as ``time.monotonic()``.
        unstarted: deliveries that were sent and never started.
        words: its last log lines, and where it crashed.
        expected: whether it left by itself with exit code 0 after it was told to.
    """

    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    peak_memory: int = 0
    error: str | None = None
    unfinished: Mapping[int, float] = field(default_factory=dict)
    unstarted: tuple[int, ...] = ()
    words: CrashLog = field(default_factory=CrashLog)
    expected: bool = False

    @property
    def account(self) -> tuple[str, str]:
        """How it ended, in one line, and the traceback that goes with it, if there is one."""
        first, _, traceback = self.text.partition("\n")
        lines = traceback.rstrip().splitlines()
        if not lines:
            return first, ""
        # The exception comes after the last frame; its text may have several lines.
        frames = [at for at, line in enumerate(lines) if line.startswith(" ")]
        said = lines[min(frames[-1] + 1, len(lines) - 1)] if frames else lines[-1]
        return f"{first} {said.strip()}", "\n".join(lines)

    @property
    def text(self) -> str:
        """How it ended, for people: ``killed by SIGSEGV``, ``exit code 3``."""
        if self.error is not None:
            return self.error
        if self.signal is not None:
            return f"killed by {self.signal_name}"
        return f"exit code {self.exit_code}"

    @property
    def signal_name(self) -> str:
        """``SIGSEGV``; ``signal 35`` where it has no name; an empty string where there was none."""
        with_name = {item.value: item.name for item in signal.Signals}
        return with_name.get(self.signal, f"signal {self.signal}") if self.signal else ""
