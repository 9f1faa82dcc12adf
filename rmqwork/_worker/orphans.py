"""What process 1 owes to orphans: to reap them.

In a container the worker is process 1, and whatever loses its parent becomes its child: the
commands of ``docker exec`` and of exec probes leave some. (What tasks leave becomes a child of the
template, which is their subreaper.)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

EVERY: Final = 1.0
"""Seconds between two looks."""
_MAX_ORPHANS: Final = 1000


async def reap_orphans(own: Callable[[], int]) -> None:
    """Reap until cancelled; does nothing unless this is process 1.

    Args:
        own: the one child that somebody else waits for.
    """
    if os.getpid() != 1:
        return
    while True:
        await asyncio.sleep(EVERY)
        reap(own())


def reap(own: int) -> int:
    """Reap all dead children but one; returns how many."""
    for count in range(_MAX_ORPHANS):
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if dead is None or dead.si_pid == own:  # it hides the others until its end is noticed
            return count
        os.waitpid(dead.si_pid, 0)
    return _MAX_ORPHANS
