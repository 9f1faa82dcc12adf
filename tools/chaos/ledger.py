"""A ledger of what was published, what ran and what was broken, and the verdict over it.

Every line is on the disk before life goes on, so it tells the truth about a process that was
killed in the next moment. Nobody in it trusts rmqwork: producers, tasks and whoever breaks things
write for themselves. The words of the verdict are those of Jepsen's total-queue checker
(https://github.com/jepsen-io/jepsen, ``checker/total-queue``).

    ledger = LedgerWriter(path, "producer-1")
    ledger.attempt(task_id, fate="done")
    app.publish(message, task_id=task_id)
    ledger.confirm(task_id)
    ...
    verdict = judge(read(path))
    assert verdict.good, verdict
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any, Literal, NamedTuple

from tools.chaos.blame import Break, Run, blame

Fate = Literal["done", "dead"]
"""What must become of a message: its task ends, or it is dead-lettered."""
Kind = Literal[
    "attempt", "confirm", "refuse", "start", "end", "dead", "left", "fault", "healed", "note"
]
_REDELIVERED = "redelivered"


class Line(NamedTuple):
    """One line.

    Args:
        at: seconds since the epoch.
        who: the process that wrote it.
        kind: what happened.
        id: of the task, or the number of the fault.
        number: the attempt of a run.
        text: a fate, an error, a reason, the name of a fault.
    """

    at: float
    who: str
    kind: str
    id: str
    number: int = 0
    text: str = ""


class LedgerWriter:
    """Appends lines; any number of threads and processes may have one on the same file.

    ``O_APPEND`` makes each line whole, ``fdatasync`` puts it on the disk before the call returns.

    Args:
        path: of the file.
        who: this process, for people; the verdict matches it with the targets of faults.
    """

    def __init__(self, path: Path, who: str) -> None:
        self._who = who
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def attempt(self, task_id: str, fate: Fate = "done") -> None:
        """A publish is about to be tried; ``fate`` is what must become of the message."""
        self._write("attempt", task_id, 0, fate)

    def confirm(self, task_id: str) -> None:
        """The publish returned without an error."""
        self._write("confirm", task_id)

    def refuse(self, task_id: str, error: str, may_have_arrived: bool) -> None:
        """The publish raised."""
        self._write("refuse", task_id, int(may_have_arrived), error)

    def start(self, task_id: str, attempt: int, redelivered: bool = False) -> None:
        """A run begins."""
        self._write("start", task_id, attempt, _REDELIVERED if redelivered else "")

    def dies(self, task_id: str, attempt: int, name: str) -> None:
        """This process is about to die of a task; ``name`` is of what."""
        number = f"{task_id}/{attempt}/{time():.3f}"
        self._write("fault", number, 0, f"{name} {self._who}")
        self._write("healed", number)

    def end(self, task_id: str, attempt: int) -> None:
        """A run has done its work."""
        self._write("end", task_id, attempt)

    def dead(self, task_id: str, attempt: int, reason: str) -> None:
        """A message was found in a dead-letter queue."""
        self._write("dead", task_id, attempt, reason)

    def left(self, task_id: str, queue: str) -> None:
        """A message was found waiting in a queue, at the very end."""
        self._write("left", task_id, 0, queue)

    def fault(self, number: int, name: str, target: str) -> None:
        """Something is about to be broken; ``target`` is a process's ``who``, or ``broker``."""
        self._write("fault", str(number), 0, f"{name} {target}")

    def healed(self, number: int) -> None:
        """It is mended."""
        self._write("healed", str(number))

    def note(self, text: str) -> None:
        """Something that people may want to know."""
        self._write("note", "", 0, text)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _write(self, kind: Kind, task_id: str, number: int = 0, text: str = "") -> None:
        line = json.dumps([round(time(), 4), self._who, kind, task_id, number, text])
        os.write(self._fd, line.encode() + b"\n")
        os.fdatasync(self._fd)


def read(path: Path, offset: int = 0) -> list[Line]:
    """The whole lines of a ledger, in the order of their time.

    Args:
        path: of the file.
        offset: bytes to pass over.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    lines = [Line(*json.loads(row)) for row in data[: data.rfind(b"\n") + 1].splitlines()]
    return sorted(lines, key=lambda line: line.at)


@dataclass(slots=True)
class History:
    """What a ledger says of one message."""

    id: str
    fate: str = ""
    attempts: list[float] = field(default_factory=list)
    confirms: list[float] = field(default_factory=list)
    refusals: list[Line] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    dead: list[Line] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        """Whether a publish of it returned without an error."""
        return bool(self.confirms)

    @property
    def ends(self) -> list[Run]:
        """The runs that came to their end."""
        return [run for run in self.runs if run.end is not None]

    @property
    def unknown(self) -> bool:
        """Whether it was tried, and neither confirmed nor surely refused."""
        sure = len(self.refusals) >= len(self.attempts)
        return not self.confirms and not (
            sure and all(not refusal.number for refusal in self.refusals)
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of all messages. Sets of ids, but for the counters.

    Args:
        attempted: publishes that were tried.
        acknowledged: of these, publishes that returned without an error.
        executed: their task came to its end.
        dead_lettered: found in a dead-letter queue.
        lost: acknowledged, and in no visible place.
        stranded: acknowledged, and still waiting when all should have been done.
        unexpected: ran or was dead-lettered, and nobody published it, or its publish was said not
            to have been sent.
        duplicated: its task came to its end more often than it was published.
        recovered: ran or was dead-lettered although its publish had not been acknowledged.
        never_run: dead-lettered as failed without having run.
        innocent: dead-lettered although its task is a good one; with the reason of each.
        contradictory: executed and dead-lettered, too.
        reruns: runs that began again after one that did not come to its end, beyond the attempts.
        causes: of the duplicates, how many by which fault; ``unexplained`` by none.
        unexplained: ids of duplicates without a fault that explains them.
    """

    attempted: frozenset[str]
    acknowledged: frozenset[str]
    executed: frozenset[str]
    dead_lettered: frozenset[str]
    lost: frozenset[str]
    stranded: frozenset[str]
    unexpected: frozenset[str]
    duplicated: frozenset[str]
    recovered: frozenset[str]
    never_run: frozenset[str]
    innocent: Mapping[str, str]
    contradictory: frozenset[str]
    reruns: int
    causes: Mapping[str, int]
    unexplained: frozenset[str]

    @property
    def good(self) -> bool:
        """Whether the promise was kept: nothing lost, stranded or unexpected, and nothing that
        never ran was dead-lettered as failed.
        """
        return not (self.lost or self.stranded or self.unexpected or self.never_run)

    def counts(self) -> dict[str, int]:
        """The number of each, by name."""
        names = (
            "attempted acknowledged executed dead_lettered lost stranded unexpected duplicated"
            " recovered never_run innocent contradictory unexplained"
        )
        return {name: len(getattr(self, name)) for name in names.split()} | {"reruns": self.reruns}

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: the counts, the causes, and the ids of what is not good."""
        told = ("lost", "stranded", "unexpected", "never_run", "unexplained", "contradictory")
        return {
            "good": self.good,
            "counts": self.counts(),
            "duplicates_by_cause": dict(sorted(self.causes.items())),
            "innocent": dict(self.innocent),
            "ids": {name: sorted(getattr(self, name)) for name in told if getattr(self, name)},
        }


def histories(lines: Iterable[Line]) -> dict[str, History]:
    """What the lines say of each message, by its id."""
    found: dict[str, History] = {}
    for line in lines:
        if line.kind in ("fault", "healed", "note"):
            continue
        history = found.setdefault(line.id, History(line.id))
        match line.kind:
            case "attempt":
                history.attempts.append(line.at)
                history.fate = line.text
            case "confirm":
                history.confirms.append(line.at)
            case "refuse":
                history.refusals.append(line)
            case "start":
                history.runs.append(Run(line.who, line.number, line.at, line.text == _REDELIVERED))
            case "end":
                _end(history, line)
            case "dead":
                history.dead.append(line)
            case "left":
                history.left.append(line.text)
    return found


def _end(history: History, line: Line) -> None:
    for run in reversed(history.runs):
        if run.who == line.who and run.attempt == line.number and run.end is None:
            run.end = line.at
            return
    history.runs.append(Run(line.who, line.number, line.at, False, line.at))


def breaks(lines: Iterable[Line]) -> list[Break]:
    """The faults in a ledger; one that was never mended lasts for ever."""
    found: dict[str, Break] = {}
    for line in lines:
        if line.kind == "fault":
            name, _, target = line.text.partition(" ")
            found[line.id] = Break(name, target, line.at)
        elif line.kind == "healed" and line.id in found:
            found[line.id].end = line.at
    return list(found.values())


def pending(lines: Iterable[Line]) -> set[str]:
    """The ids that are acknowledged, and neither executed nor dead-lettered as far as is known."""
    open_: set[str] = set()
    closed: set[str] = set()
    for line in lines:
        if line.kind == "confirm":
            open_.add(line.id)
        elif line.kind in ("end", "dead"):
            closed.add(line.id)
    return open_ - closed


def judge(lines: Sequence[Line]) -> Verdict:
    """Draw up the verdict."""
    all_of = histories(lines)
    faults = breaks(lines)
    twice = {one.id: one for one in all_of.values() if _duplicated(one)}
    causes = {
        task_id: blame(one.attempts, one.confirms, one.runs, faults)
        for task_id, one in twice.items()
    }
    return Verdict(
        attempted=_ids(one for one in all_of.values() if one.attempts),
        acknowledged=_ids(one for one in all_of.values() if one.acknowledged),
        executed=_ids(one for one in all_of.values() if one.ends),
        dead_lettered=_ids(one for one in all_of.values() if one.dead),
        lost=_ids(one for one in all_of.values() if one.acknowledged and not _visible(one)),
        stranded=_ids(
            one for one in all_of.values() if one.acknowledged and one.left and not _settled(one)
        ),
        unexpected=_ids(one for one in all_of.values() if _unexpected(one)),
        duplicated=frozenset(twice),
        recovered=_ids(
            one
            for one in all_of.values()
            if not one.acknowledged and one.attempts and _settled(one)
        ),
        never_run=_ids(
            one for one in all_of.values() if one.dead and not one.runs and _blamed(one)
        ),
        innocent={
            one.id: one.dead[0].text for one in all_of.values() if one.dead and one.fate == "done"
        },
        contradictory=_ids(one for one in all_of.values() if one.dead and one.ends),
        reruns=sum(_reruns(one) for one in all_of.values()),
        causes=Counter(causes.values()),
        unexplained=frozenset(i for i, cause in causes.items() if cause == "unexplained"),
    )


def _ids(found: Iterator[History] | Iterable[History]) -> frozenset[str]:
    return frozenset(one.id for one in found)


def _settled(one: History) -> bool:
    return bool(one.ends or one.dead)


def _visible(one: History) -> bool:
    return bool(_settled(one) or one.left)


def _duplicated(one: History) -> bool:
    return len(one.ends) > max(1, len(one.attempts))


def _unexpected(one: History) -> bool:
    seen = bool(one.runs or one.dead)
    return seen and (not one.attempts or not (one.acknowledged or one.unknown))


def _blamed(one: History) -> bool:
    """Whether it is called a failure, and not refused before it could run."""
    return any(
        line.text.split(":")[0] in ("failed", "worker-crashed", "time-limit", "rejected")
        or line.text.startswith("broker")
        for line in one.dead
    )


def _reruns(one: History) -> int:
    begun: dict[int, int] = defaultdict(int)
    for run in one.runs:
        begun[run.attempt] += 1
    return sum(count - 1 for count in begun.values())
