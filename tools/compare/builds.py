"""Builds of commits: a checkout and a virtual environment for each side of a comparison."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.compare.pairs import Side

PINS = "requirements-dev.txt"
LABEL_LENGTH = 80
PIP = (
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-warn-script-location",
)


class BuildFailed(Exception):
    """A commit cannot be checked out or installed; the text says why."""


@dataclass(frozen=True)
class Source:
    """What is built.

    Args:
        label: for people.
        tree: the id of its tree in Git.
    """

    label: str
    tree: str


@dataclass(frozen=True)
class Build:
    """An installed commit.

    Args:
        source: what was built.
        python: the interpreter of its virtual environment.
    """

    source: Source
    python: Path

    @property
    def rmqwork(self) -> Path:
        """The command line of this commit."""
        return self.python.with_name("rmqwork")


def commit(root: Path, name: str) -> Source:
    """Return the source that a commit, tag or branch names.

    Raises:
        BuildFailed: there is none of this name.
    """
    label = _git(root, "log", "-1", "--format=%h %s", name, "--").strip()
    return Source(
        textwrap.shorten(label, LABEL_LENGTH, placeholder=" …"),
        _git(root, "rev-parse", f"{name}^{{tree}}").strip(),
    )


def working_tree(root: Path) -> Source:
    """Return the source that is in the files of the checkout, committed or not.

    Git's own index stays as it is; files that Git ignores are left out.
    """
    last = commit(root, "HEAD")
    with tempfile.TemporaryDirectory(prefix="rmqwork-compare-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _git(root, "read-tree", "HEAD", environment=index)
        _git(root, "add", "--all", environment=index)
        tree = _git(root, "write-tree", environment=index).strip()
    changed = "" if tree == last.tree else " + uncommitted changes"
    return Source(f"{last.label}{changed}", tree)


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Keep a second comparison out of the same cache.

    Raises:
        BuildFailed: one is running.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildFailed(
                f"another comparison uses {cache}: wait for its end, or name another --cache"
            ) from None
        yield


def build(root: Path, cache: Path, side: Side, source: Source) -> Build:
    """Check a source out and install it, unless this side of the cache has it already.

    Each side has a folder of its own, even if both have the same source. Packages that rmqwork
    needs are installed at the versions that the source's own requirements-dev.txt names.

    Raises:
        BuildFailed: it cannot be installed.
    """
    folder = cache / side
    python = folder / "venv" / "bin" / "python"
    stamp, wanted = folder / "built", f"{source.tree} {sys.version}\n"
    if stamp.exists() and stamp.read_text() == wanted:
        return Build(source, python)
    shutil.rmtree(folder, ignore_errors=True)
    checkout = folder / "checkout"
    checkout.mkdir(parents=True)
    _check_out(root, source.tree, checkout)
    venv.create(folder / "venv", with_pip=True)
    pins = ["-c", PINS] if (checkout / PINS).exists() else []
    _run([str(python), *PIP, *pins, "."], checkout, {"PIP_ROOT_USER_ACTION": "ignore"})
    stamp.write_text(wanted)
    return Build(source, python)


def _check_out(root: Path, tree: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="rmqwork-compare-") as temporary:
        archive = Path(temporary) / "tree.tar"
        _git(root, "archive", "--format=tar", f"--output={archive}", tree)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")


def _git(root: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    return _run(["git", *arguments], root, environment or {})


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise BuildFailed(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise BuildFailed(f"{' '.join(command)}: {error.stderr.strip()[-2000:]}") from None
    return ended.stdout
