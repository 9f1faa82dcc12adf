"""When each task was due and when it ran, in shared memory: seen by all processes, at no cost.

Two rows of float64, ``time.monotonic()`` of the machine: when message n was due, and when its task
ran. A task writes its own item, so nothing is counted twice and nothing needs a lock.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path


class Marks:
    """The marks in a file; all who map it share them.

    Args:
        path: of the file; made if it is not there.
        count: how many messages; None = as many as the file has.
    """

    def __init__(self, path: Path, count: int | None = None) -> None:
        if count is not None:
            path.write_bytes(b"")
            os.truncate(path, count * 16)
        size = path.stat().st_size
        self.count = size // 16
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)
        view = memoryview(self._memory).cast("d")
        self.due = view[: self.count]
        """When each message was due to be published; 0 = not yet."""
        self.done = view[self.count :]
        """When each task ran; 0 = not yet."""

    def finished(self) -> list[float]:
        """When the tasks ran that have run, sorted."""
        return sorted(at for at in self.done if at > 0)

    def all_done(self) -> bool:
        """Whether all tasks have run; cheap: looks at the last ones first."""
        done = self.done
        step = max(1, self.count // 200)
        if not all(done[at] > 0 for at in range(self.count - 1, -1, -step)):
            return False
        return min(done) > 0
