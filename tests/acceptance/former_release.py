"""The code of an earlier commit, for tests of rolls: its workers and publishers beside today's.

It needs the repository with its history, and no network: the packages of today's environment are
those that the earlier code takes, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.acceptance.support import ROOT, Ledger, Worker
from tests.requirements import require_program, unavailable

COMMIT = "06dc684b08e0739b65655cf6a2fece1c7af09ef2"
"""The last commit before the wire was extended: every later one runs beside it."""


class FormerRelease:
    """The package as it was.

    Args:
        folder: where it is laid out; modules of apps are copied beside it.
        commit: of the repository.
    """

    def __init__(self, folder: Path, commit: str = COMMIT) -> None:
        self._folder = folder
        git = require_program("git", "git")
        packed = folder / "release.tar"
        made = subprocess.run(
            [git, "-C", str(ROOT), "archive", f"--output={packed}", commit, "rmqwork"],
            capture_output=True,
            text=True,
        )
        if made.returncode:
            unavailable(f"commit {commit[:7]}", made.stderr.strip())
        with tarfile.open(packed) as tar:
            tar.extractall(folder, filter="data")

    def add(self, module: Path) -> str:
        """Let an app's module be found by the former code; returns its name there."""
        shutil.copy(module, self._folder)
        return module.stem

    def worker(self, url: str, ledger: Ledger, *args: str, app: str, **env: str) -> Worker:
        """A worker of the former code."""
        path = {"PYTHONPATH": str(self._folder)}
        return Worker(url, ledger, *args, app=app, env={**env, **path})

    def run(self, code: str, **env: str) -> str:
        """Run a program with the former code; returns what it has printed."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self._folder,
            env={**os.environ, **env, "PYTHONPATH": str(self._folder)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
