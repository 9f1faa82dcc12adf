"""Tables for people, JSON for programs. Imports rich only when a table is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import click

from rmqwork._cli.text import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNLIMITED: Final = 10_000
"""Columns of a table that is not printed on a terminal: nothing is cut."""

as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead of a table."
)
"""The decorator of verbs that print."""


def print_json(value: object) -> None:
    """One JSON document on one line; ASCII only, so that no terminal is steered by it."""
    print(json.dumps(value, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        name: its heading.
        justify: to which side.
        whole: never broken into several lines.
    """

    name: str
    justify: Literal["left", "right"] = "left"
    whole: bool = False


def console() -> Console:
    """Where tables and texts for people go: stdout."""
    from rich.console import Console

    class Out(Console):
        def on_broken_pipe(self) -> None:
            """Let the program end as it does for all output."""
            raise BrokenPipeError

    width = None if sys.stdout.isatty() else UNLIMITED
    return Out(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]], title: str = "") -> Table:
    """A table; no cell can steer the terminal or is read as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=box.SIMPLE_HEAD,
        title=Text(plain(title)) if title else None,
        title_justify="left",
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        cells = [column.name, *(plain(str(row[index])) for row in rows)]
        made.add_column(
            column.name,
            justify=column.justify,
            overflow="fold",
            no_wrap=column.whole,
            min_width=max(map(len, cells)) if column.whole else None,
        )
    for row in rows:
        made.add_row(*(Text(plain(str(cell))) for cell in row))
    return made


def fields(pairs: Sequence[tuple[str, object]], indent: str = "  ") -> str:
    """Names and values, one below the other."""
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{indent}{name:<{width}}  {plain(str(value))}" for name, value in pairs)


def note(text: str) -> None:
    """A remark on stderr, which leaves stdout to the result."""
    print(f"rmqwork: {plain(text)}", file=sys.stderr, flush=True)
