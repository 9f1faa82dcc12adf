"""What people see: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from rmqwork._cli.demo.watch import View

_EVERY: Final = 2.0  # seconds between two plain lines
Show = Callable[[Sequence[View]], None]


class Screen(Protocol):
    """Where the demo speaks."""

    def say(self, text: str = "") -> None:
        """One line or more, to stay."""

    @contextmanager
    def drawing(self, total: int) -> Iterator[Callable[[], None]]:
        """While images are drawn; what it gives is called after each."""
        yield lambda: None

    @contextmanager
    def watching(self) -> Iterator[Show]:
        """While the workers work; what it gives shows the queues."""
        yield lambda views: None


class PlainScreen(Screen):
    """Lines, for logs and CI."""

    def say(self, text: str = "") -> None:
        """Print it."""
        print(text, flush=True)

    @contextmanager
    def drawing(self, total: int) -> Iterator[Callable[[], None]]:
        """Nothing to see: the next line says how long it took."""
        yield lambda: None

    @contextmanager
    def watching(self) -> Iterator[Show]:
        """A line a queue, every two seconds, and once more at the end."""
        shown_at = 0.0
        latest: Sequence[View] = ()

        def show(views: Sequence[View]) -> None:
            nonlocal shown_at, latest
            latest = views
            if time.monotonic() - shown_at >= _EVERY:
                shown_at = time.monotonic()
                self._lines(views)

        yield show
        self._lines(latest)

    def _lines(self, views: Sequence[View]) -> None:
        for view in views:
            self.say(
                f"  {view.queue:<14} done {view.done:>6,}   retries {view.retries:>5,}   "
                f"dead letters {view.dead:>4,}   waiting {view.waiting:>6,}   "
                f"running or delayed {view.elsewhere:>5,}"
            )


class LiveScreen(Screen):
    """Bars, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str = "") -> None:
        """Print it above the bars."""
        self._console.print(text, markup=False, highlight=False)

    @contextmanager
    def drawing(self, total: int) -> Iterator[Callable[[], None]]:
        """One bar."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            bar = progress.add_task("drawing images", total=total)
            yield lambda: progress.advance(bar)

    @contextmanager
    def watching(self) -> Iterator[Show]:
        """A bar a queue."""
        bars: dict[str, TaskID] = {}
        with Progress(*_columns(), console=self._console) as progress:

            def show(views: Sequence[View]) -> None:
                for view in views:
                    if view.queue not in bars:
                        bars[view.queue] = progress.add_task(view.queue, view=view)
                    progress.update(
                        bars[view.queue], total=view.published, completed=view.settled, view=view
                    )

            yield show


def _columns() -> tuple[TextColumn | BarColumn | TimeElapsedColumn, ...]:
    field = "{task.fields[view]"
    return (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=24),
        TextColumn(f"[green]done {field}.done:>5}}"),
        TextColumn(f"[yellow]retries {field}.retries:>4}}"),
        TextColumn(f"[red]dead letters {field}.dead:>3}}"),
        TextColumn(f"waiting {field}.waiting:>5}}"),
        TextColumn(f"[dim]running or delayed {field}.elsewhere:>4}}"),
        TimeElapsedColumn(),
    )


def screen() -> Screen:
    """The right one for where standard output leads to."""
    console = Console()
    return LiveScreen(console) if console.is_terminal else PlainScreen()
