"""The parent's side of the keeper (see :mod:`rmqwork.testing._keeper`)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from rmqwork.testing import _keeper


class Keeper:
    """A child process that removes a broker when asked, and when this process dies.

    Args:
        what: ``"folder"`` for a temporary folder and its processes, ``"container"`` for a
            Docker container.
        names: for a container, its name.
    """

    def __init__(self, what: str, *names: str) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", _keeper.__file__, str(self._owner), what, *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C on the terminal is for the parent alone
        )
        assert self._process.stdout is not None
        self._answer = self._process.stdout.readline().rstrip("\n")

    @property
    def folder(self) -> Path:
        """The temporary folder that this keeper made."""
        return Path(self._answer)

    def tidy(self) -> None:
        """Remove what is kept, and return when that is done. Again, or in a fork: nothing."""
        if os.getpid() != self._owner or self._process.stdin is None:
            return
        # A byte, not only the end of the pipe: a forked child may hold the pipe open as well.
        with contextlib.suppress(BrokenPipeError):
            if not self._process.stdin.closed:
                self._process.stdin.write("tidy\n")
                self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
