"""``rmqwork dlq list``: the newest dead letters, and all of them in groups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from rmqwork.cli.applications import app_argument, load
from rmqwork.cli.dlq.choosing import look, queue_option
from rmqwork.cli.output import Column, as_json_option, console, note, print_json, table
from rmqwork.cli.text import brief_moment, cut, plain

if TYPE_CHECKING:
    from rich.table import Table

    from rmqwork.cli.dlq.letters import Collection, Row
    from rmqwork.deadletters import Reading

_REASON_LENGTH: Final = 160
_TABLE_WIDTH: Final = 120
"""Columns of a terminal below which letters are printed as blocks."""


@click.command("list")
@app_argument
@queue_option
@click.option(
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    default=20,
    show_default=True,
    help="Rows of each queue, the newest; all are counted.",
)
@as_json_option
def list_letters(app: str | None, queues: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List dead letters, the newest first, and count all of them by task, reason and error.

    Reading removes nothing and keeps the order. Copies with one id and attempt count once.
    """
    from rmqwork.cli.dlq.letters import Collection

    found = Collection(limit)
    readings = look(load(app), queues, found.add)
    if as_json:
        print_json(_document(readings, found))
    else:
        _print(readings, found)
    for reading in readings:
        if reading.read < reading.waiting:
            note(
                f"{reading.dead_letter_queue}: {reading.read} of {reading.waiting} were read; "
                "another reader had the rest, run it again"
            )


def _document(readings: list[Reading], found: Collection) -> dict[str, Any]:
    from rmqwork.cli.dlq.letters import group_to_json

    return {
        "order": "newest first",
        "count": found.letters,
        "queues": [
            {
                "dead_letter_queue": reading.dead_letter_queue,
                "exists": reading.exists,
                "waiting": reading.waiting,
                "read": reading.read,
                "letters": [row.to_json() for row in found.newest_first(reading.dead_letter_queue)],
            }
            for reading in readings
        ],
        "groups": [group_to_json(kind, group) for kind, group in found.by_count()],
    }


def _print(readings: list[Reading], found: Collection) -> None:
    out = console()
    now = datetime.now(UTC)
    columns = [
        Column("id", whole=True),
        Column("when (UTC)", whole=True),
        Column("attempt", "right", whole=True),
        Column("task"),
        Column("reason"),
    ]
    for reading in readings:
        rows = found.newest_first(reading.dead_letter_queue)
        if rows:
            title = f"{reading.dead_letter_queue}: {reading.waiting} waiting, newest first"
            if len(rows) < reading.read:
                title += f", {len(rows)} shown"
            cells = [_cells(row, now) for row in rows]
            if out.width < _TABLE_WIDTH:
                out.print(f"{title}\n\n{_blocks(cells)}\n")
            else:
                out.print(table(columns, cells, title))
    if found.letters:
        out.print(_groups(found, now))
        out.print("rmqwork dlq show ID shows one with its body and traceback")
    else:
        out.print(f"no dead letters in {', '.join(one.dead_letter_queue for one in readings)}")


def _cells(row: Row, now: datetime) -> list[object]:
    reason = f"{row.reason} (broker)" if row.by_broker else row.reason
    told = ": ".join(part for part in (reason, row.error_type, row.error_message) if part)
    return [
        (row.id or "-") + (f" ({row.copies} copies)" if row.copies > 1 else ""),
        brief_moment(row.at, now),
        row.attempt,
        row.task or "-",
        cut(" ".join(told.split()), _REASON_LENGTH),
    ]


def _blocks(rows: list[list[object]]) -> str:
    """Two lines a letter, where a table has no room."""
    return "\n".join(
        plain(f"{task_id}  {when}  attempt {attempt}  {task}") + f"\n    {plain(str(reason))}"
        for task_id, when, attempt, task, reason in rows
    )


def _groups(found: Collection, now: datetime) -> Table:
    columns = [
        Column("count", "right", whole=True),
        Column("first (UTC)", whole=True),
        Column("last (UTC)", whole=True),
        Column("queue"),
        Column("task"),
        Column("reason"),
    ]
    rows = [
        [
            group.count,
            brief_moment(group.first, now),
            brief_moment(group.last, now),
            kind.queue,
            kind.task or "-",
            f"{kind.reason}: {kind.error_type}" if kind.error_type else kind.reason,
        ]
        for kind, group in found.by_count()
    ]
    return table(columns, rows, f"all {found.letters} in groups")
