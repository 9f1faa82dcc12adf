"""What a child process sets up first: to die with its parent, to know who else is in the process,
and to be heard."""

from __future__ import annotations

import ctypes
import io
import os
import sys
import threading
from contextlib import suppress
from typing import Final

EXIT_ORPHANED: Final = 72
"""The exit code of a process that found its parent dead at its start."""
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER: Final = 36


def die_with_parent(signal_number: int, parent: int) -> None:
    """Have the kernel send this process a signal when its parent dies (Linux, prctl(2)).

    The parent may have died before the call: then this process leaves at once. Where there is no
    prctl (macOS), the end of the pipe has to do.

    Args:
        signal_number: what is to be sent; 0 = nothing any more.
        parent: the process that must be the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_ORPHANED)


def be_killed_first(more: int = 300) -> None:
    """Where memory is short, have the kernel kill this process before the worker process, which
    holds the connection and can tell what happened (proc(5), ``oom_score_adj``).
    """
    with suppress(OSError, ValueError), open("/proc/self/oom_score_adj", "r+") as file:
        score = min(1000, int(file.read()) + more)
        file.seek(0)
        file.write(str(score))


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, to reap them (Linux, prctl(2)).

    Otherwise they go to process 1, which in a container is the worker process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def other_python_threads() -> list[str]:
    """The names of all other Python threads, also of those that `threading` did not start."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    return [
        names.get(ident, f"a thread without a name (id {ident})")
        for ident in sys._current_frames()
        if ident != own
    ]


def native_threads() -> list[str]:
    """The names of threads of this process that Python does not know, as Linux tells them."""
    if sys.platform != "linux":
        return []
    known = {thread.native_id for thread in threading.enumerate()}
    names = []
    for thread_id in os.listdir("/proc/self/task"):
        if int(thread_id) not in known:
            with suppress(OSError), open(f"/proc/self/task/{thread_id}/comm") as file:
                names.append(file.read().strip())
    return names


def buffer_lines() -> None:
    """Show what tasks print when they print it, also where stdout is a file or a pipe."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
