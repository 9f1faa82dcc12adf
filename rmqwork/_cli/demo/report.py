"""What people see: live bars or plain lines, the ledger at the end, and where to look further."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from rmqwork._cli.demo.setup import APP
from rmqwork._cli.demo.steps import Played, View
from rmqwork._messages.dead_letter import DeadLetter

T = TypeVar("T")
_PLAIN_INTERVAL: Final = 2.0  # seconds between two plain lines
_SHOWN: Final = 60
_WIDE: Final = 128
"""Columns of a terminal that shows all columns of the bars."""


class Screen:
    """Plain lines, for logs and CI."""

    def __init__(self) -> None:
        self._latest: Sequence[View] = ()
        self._printed_at = 0.0

    def say(self, text: str = "") -> None:
        """Print one line or more, to stay."""
        print(text, flush=True)

    def track(self, images: Iterable[T], total: int) -> Iterable[T]:
        """Pass on what is drawn, and show how far it is (here: nothing)."""
        return images

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While workers work, `show` shows; here also once more at the end."""
        yield
        self._print(self._latest)

    def show(self, views: Sequence[View]) -> None:
        """Show the queues; here a line a queue, every two seconds."""
        self._latest = views
        if time.monotonic() - self._printed_at >= _PLAIN_INTERVAL:
            self._printed_at = time.monotonic()
            self._print(views)

    def _print(self, views: Sequence[View]) -> None:
        for view in views:
            self.say(
                f"  {view.queue:<14} done {view.done:>6,}   retries {view.retries:>5,}   "
                f"dead letters {view.dead:>4,}   waiting {view.waiting:>6,}   "
                f"running or delayed {view.elsewhere:>5,}"
            )


class LiveScreen(Screen):
    """Bars, on a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._progress = Progress(*_columns(console.width), console=console)
        self._bars: dict[str, TaskID] = {}

    def say(self, text: str = "") -> None:
        """Print it above the bars."""
        self._console.print(text, markup=False, highlight=False)

    def track(self, images: Iterable[T], total: int) -> Iterable[T]:
        """Pass on what is drawn, with one bar."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            yield from progress.track(images, total, description="drawing images")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While workers work: a bar a queue."""
        with self._progress:
            yield

    def show(self, views: Sequence[View]) -> None:
        """Set the bars."""
        for view in views:
            if view.queue not in self._bars:
                self._bars[view.queue] = self._progress.add_task(view.queue, view=view)
            self._progress.update(
                self._bars[view.queue], total=view.published, completed=view.settled, view=view
            )


def _columns(width: int) -> list[ProgressColumn]:
    """The columns of the bars; on a narrow terminal those that matter most."""
    field = "{task.fields[view]"
    shown: list[ProgressColumn] = [
        TextColumn("{task.description:<14}"),
        TextColumn(f"[green]done {field}.done:>5}}"),
        TextColumn(f"[yellow]retries {field}.retries:>4}}"),
        TextColumn(f"[red]dead letters {field}.dead:>3}}"),
        TextColumn(f"waiting {field}.waiting:>5}}"),
    ]
    if width >= _WIDE:
        shown.insert(1, BarColumn(bar_width=24))
        shown.append(TextColumn(f"[dim]running or delayed {field}.elsewhere:>4}}"))
    return [*shown, TimeElapsedColumn()]


def screen() -> Screen:
    """Return the right one for where standard output leads to."""
    console = Console()
    return LiveScreen(console) if console.is_terminal else Screen()


def report(here: Screen, played: Played) -> bool:
    """Print the ledger; return True if it balances and every thumbnail is there."""
    ledger = played.balance
    reasons = Counter(letter.reason for letter in played.letters)
    named = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    lines = [
        "",
        f"LEDGER    {ledger.published:,} messages in {played.seconds:.1f} s",
        _row("published", ledger.published, "each confirmed by the broker"),
        _row("executed", ledger.executed, _executed(played)),
        _row("dead-lettered", ledger.dead, f"in the dead-letter queues: {named or 'none'}"),
        _row("lost", len(ledger.lost), "published, and in no visible place"),
        _row("thumbnails", played.whole, "on disk, opened and whole"),
    ]
    if ledger.both or ledger.foreign:
        lines.append(f"  ({ledger.both} executed and dead, {ledger.foreign} not published here)")
    made = played.whole == ledger.executed
    good = ledger.balances and made
    sum_of_both = f"{ledger.published:,} = {ledger.executed:,} + {ledger.dead:,}"
    if ledger.both:
        sum_of_both += f" - {ledger.both:,}"
    lines.append(
        f"  published = executed + dead-lettered: {sum_of_both}, lost = {len(ledger.lost)}"
        if good
        else "  THE LEDGER DOES NOT BALANCE"
    )
    lines += [f"  lost: {task_id}" for task_id in sorted(ledger.lost)[:10]]
    for part in (_letters(played.letters), played.departures):
        lines += ["", *part] if part else []
    lines.append("")
    here.say("\n".join(lines))
    return good


def _row(name: str, count: int, remark: str) -> str:
    return f"  {name:<14}{count:>7,}   {remark}"


def _executed(played: Played) -> str:
    again = played.balance.run_twice
    twice = f"{again} of them twice" if again else "none of them twice"
    return f"{twice}; {played.retries} runs before that ended in a retry"


def _letters(letters: Iterable[DeadLetter]) -> list[str]:
    """One dead letter of each reason and error, with how many there are."""
    letters = list(letters)
    kinds = Counter((letter.reason, letter.error_type) for letter in letters)
    first = {(letter.reason, letter.error_type): letter for letter in reversed(letters)}
    lines = ["DEAD LETTERS, one of each kind"] if letters else []
    for kind, count in kinds.most_common():
        letter = first[kind]
        error = letter.error_type.rpartition(".")[2]
        text = f"{error}: {letter.error_message}" if error else letter.error_message
        if len(text) > _SHOWN:
            text = text[: _SHOWN - 1] + "…"
        lines.append(f"  {count:>4}  {letter.reason:<10}  attempt {letter.attempt}  {text}")
    return lines


def further(address: Path, letters: Sequence[DeadLetter]) -> str:
    """The commands to look around with while everything stays.

    Args:
        address: the file with the broker's address.
        letters: one of them is shown.
    """
    lines = [
        "The queues and the dead letters stay until Ctrl-C. In another terminal:",
        f"  export RMQWORK_APP={APP} RMQWORK_BROKER=$(cat {address})",
        "  rmqwork queues",
        "  rmqwork dlq list",
    ]
    lines += [f"  rmqwork dlq show {letter.id}" for letter in letters[-1:]]
    return "\n".join([*lines, f"The images, thumbnails and logs are in {address.parent}"])
