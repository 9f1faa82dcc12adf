"""What a process leaves for the time after its death: its last log lines, and where it crashed.

Both are written into the memory that it shares with the worker process, without a system call for
each line; so they are there however it ends. `faulthandler` writes the stacks of a segmentation
fault or an abort by itself, behind the log lines.
"""

from __future__ import annotations

import faulthandler
import logging
import mmap
import os
import re
import struct
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from rmqwork._config.logging import HumanFormatter

LOG_SIZE: Final = 16 << 10
FAULT_SIZE: Final = 48 << 10
SIZE: Final = LOG_SIZE + FAULT_SIZE
_LINES: Final = 40
_LINE_MOST: Final = 1000
_HEADER: Final = struct.Struct("<Q")
_BLOCK: Final = re.compile(r"^(?:Current )?[Tt]hread 0x.*?(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CrashLog:
    """What a dead process has left.

    Args:
        lines: of its log, each with its ``time.monotonic()``.
        fault: what kind of crash it was, and the stack of the thread that crashed.
    """

    lines: tuple[tuple[float, str], ...] = ()
    fault: str = ""

    def since(self, start: float) -> str:
        """The crash, and the log since then, for people; an empty string where there is neither."""
        lines = [line for at, line in self.lines if at >= start]
        parts = [self.fault] if self.fault else []
        if lines:
            parts.append("\n".join(["the last log lines of the process:", *lines]))
        return "\n\n".join(parts)


class CrashReport:
    """The memory of the last words; one side writes, the other reads.

    Args:
        fd: of the memory, which belongs to the start marks, too; it may be closed afterwards.
        offset: where in it they are.
    """

    def __init__(self, fd: int, offset: int) -> None:
        self._memory = mmap.mmap(fd, offset + SIZE)
        self._offset = offset

    def write(self, lines: deque[bytes]) -> None:
        """Leave these log lines, as many of the last ones as there is room for."""
        data = b"\0".join(lines)[-(LOG_SIZE - _HEADER.size) :]
        at = self._offset + _HEADER.size
        self._memory[at : at + len(data)] = data
        _HEADER.pack_into(self._memory, self._offset, len(data))

    def read(self) -> CrashLog:
        """What was left."""
        (size,) = _HEADER.unpack_from(self._memory, self._offset)
        at = self._offset + _HEADER.size
        log = bytes(self._memory[at : at + min(size, LOG_SIZE - _HEADER.size)])
        at = self._offset + LOG_SIZE
        fault = bytes(self._memory[at : at + FAULT_SIZE]).partition(b"\0")[0]
        return CrashLog(_lines(log), _of_the_culprit(fault.decode(errors="replace")))

    def close(self) -> None:
        """Unmap the memory."""
        self._memory.close()


class LastLines(logging.Handler):
    """Keeps the last log lines of this process in its remains.

    Args:
        fd: as for `CrashReport`.
        offset: likewise.
    """

    def __init__(self, fd: int, offset: int) -> None:
        super().__init__()
        self.setFormatter(HumanFormatter(colors=False))
        self._remains = CrashReport(fd, offset)
        self._kept: deque[bytes] = deque(maxlen=_LINES)
        self._fault = os.dup(fd)
        os.lseek(self._fault, offset + LOG_SIZE, os.SEEK_SET)
        self._armed = False
        self._ours = True

    def install(self) -> None:
        """Listen to the root logger, if anybody does (an app may have set it up anew), and to
        crashes, if nobody else does.
        """
        root = logging.getLogger()
        if root.handlers and self not in root.handlers:
            root.addHandler(self)
        if not faulthandler.is_enabled():
            faulthandler.enable(self._fault)
            self._armed = True

    def close_after_fork(self) -> None:
        """In a child that a task forks: these are not the executor's last words."""
        self._ours = False
        if self._armed:
            faulthandler.disable()
        with suppress(OSError):
            os.close(self._fault)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        if not self._ours:
            return
        try:
            line = f"{time.monotonic()!r} {self.format(record)}".encode(errors="replace")
            self._kept.append(line[:_LINE_MOST].replace(b"\0", b" "))
            self._remains.write(self._kept)
        except Exception:
            self.handleError(record)


def _lines(log: bytes) -> tuple[tuple[float, str], ...]:
    found: list[tuple[float, str]] = []
    for entry in log.split(b"\0"):
        at, _, line = entry.decode(errors="replace").partition(" ")
        with suppress(ValueError):  # the first one may be cut
            found.append((float(at), line))
    return tuple(found)


def _of_the_culprit(fault: str) -> str:
    """Of `faulthandler`'s report the kind of crash and the thread that crashed."""
    kind = fault.partition("\n")[0]
    blocks: list[str] = _BLOCK.findall(fault)
    current = [block.rstrip() for block in blocks if block.startswith("Current")]
    return "\n\n".join([kind, *current]) if kind else ""
