"""The demo's own account of what ran: one line a run, appended by whoever ran it.

It does not trust rmqwork: a task writes its line itself, at its very end and before its message is
acked. So a message that got lost on its way has no line, and one that ran twice has two.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

_FIELDS: Final = 5
Kind = Literal["done", "retry"]


class Line(NamedTuple):
    """A run of a task that came to its end (``done``), or that will be tried again (``retry``)."""

    kind: str
    task_id: str
    queue: str
    attempt: str
    name: str


class LedgerWriter:
    """Appends lines; any number of threads and processes may have one on the same file.

    ``O_APPEND`` makes each line whole: a short write to a local file does not mix with others.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, kind: Kind, task_id: str, queue: str, attempt: int, name: str = "-") -> None:
        """Append one line."""
        line = "\t".join((kind, task_id, queue, str(attempt), name)) + "\n"
        os.write(self._fd, line.encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class LedgerReader:
    """Reads what has been appended since the last time; first, since it was made."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._offset = path.stat().st_size

    def read(self) -> list[Line]:
        """The new whole lines."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        rows = (row.split("\t") for row in whole.decode().splitlines())
        return [Line(*row) for row in rows if len(row) == _FIELDS]


@dataclass(slots=True)
class QueueTally:
    """What the ledger's lines say of one queue, so far."""

    done: set[str] = field(default_factory=set)
    runs: int = 0
    retries: int = 0


class Tally:
    """Adds up the lines, by queue."""

    def __init__(self, queues: Iterable[str]) -> None:
        self.queues = {queue: QueueTally() for queue in queues}
        self.names: set[str] = set()
        """Of the thumbnails that were made."""

    def add(self, lines: Iterable[Line]) -> None:
        """Count further lines."""
        for line in lines:
            tally = self.queues.setdefault(line.queue, QueueTally())
            if line.kind == "retry":
                tally.retries += 1
                continue
            tally.runs += 1
            tally.done.add(line.task_id)
            self.names.add(line.name)


class Ledger(NamedTuple):
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
        """Whether published = executed + dead-lettered, and nothing is lost."""
        return not self.lost and self.published == self.executed + self.dead - self.both


def balance(published: Iterable[str], tally: Tally, dead: Iterable[str]) -> Ledger:
    """Draw up the balance.

    Args:
        published: the published ids.
        tally: what the tasks have written.
        dead: the ids in the dead-letter queues.
    """
    ids = frozenset(published)
    executed = {task_id for one in tally.queues.values() for task_id in one.done}
    letters = frozenset(dead)
    runs = sum(one.runs for one in tally.queues.values())
    return Ledger(
        published=len(ids),
        executed=len(executed & ids),
        dead=len(letters & ids),
        lost=frozenset(ids - executed - letters),
        run_twice=runs - len(executed),
        both=len(executed & letters),
        foreign=len((executed | letters) - ids),
    )
