"""The demo's own account of what ran: one JSON line a run, appended by the task itself.

It does not trust rmqwork: a task writes its line at its very end and before its message is acked.
So a message that got lost on its way has no line, and one that ran twice has two.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple


class Line(NamedTuple):
    """A run of a task that came to its end (``done``), or that will be tried again (``retry``)."""

    kind: Literal["done", "retry"]
    task_id: str
    queue: str
    attempt: int
    name: str = ""
    """Name of the thumbnail that was made."""


class LedgerWriter:
    """Appends lines; any number of threads and processes may have one on the same file.

    ``O_APPEND`` makes each line whole: a short write to a local file does not mix with others.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, line: Line) -> None:
        """Append one line."""
        os.write(self._fd, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class Ledger:
    """Adds up the lines that are appended to a file from now on."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._offset = path.stat().st_size
        self.done: defaultdict[str, set[str]] = defaultdict(set)
        """Ids of the executed tasks, by queue."""
        self.retries: Counter[str] = Counter()
        """Number of runs that ended in another try, by queue."""
        self.runs = 0
        """Number of runs that came to their end."""
        self.names: set[str] = set()
        """Names of the thumbnails that were made."""

    def read(self) -> None:
        """Add the whole lines that are new."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in (Line(*json.loads(row)) for row in whole.splitlines()):
            if line.kind == "retry":
                self.retries[line.queue] += 1
            else:
                self.runs += 1
                self.done[line.queue].add(line.task_id)
                self.names.add(line.name)


class Balance(NamedTuple):
    """The end of the account. ``lost`` are the published ids that are in no visible place."""

    published: int
    executed: int
    dead: int
    lost: frozenset[str]
    run_twice: int
    """Runs beyond the first of an executed task (at least once: allowed, and counted)."""
    both: int
    """Ids that were executed and are dead letters, too."""
    foreign: int
    """Executed or dead-lettered ids that nobody here has published."""

    @property
    def balances(self) -> bool:
        """True if published = executed + dead-lettered, and nothing is lost."""
        return not self.lost and self.published == self.executed + self.dead - self.both


def balance(published: Iterable[str], ledger: Ledger, dead: Iterable[str]) -> Balance:
    """Draw up the balance.

    Args:
        published: ids of the published messages.
        ledger: what the tasks have written.
        dead: ids of the messages in the dead-letter queues.
    """
    ids, letters = frozenset(published), frozenset(dead)
    executed = frozenset().union(*ledger.done.values())
    return Balance(
        published=len(ids),
        executed=len(executed & ids),
        dead=len(letters & ids),
        lost=ids - executed - letters,
        run_twice=ledger.runs - len(executed),
        both=len(executed & letters),
        foreign=len((executed | letters) - ids),
    )
