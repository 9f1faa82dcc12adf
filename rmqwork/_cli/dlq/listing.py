"""``rmqwork dlq list``: the newest dead letters, and all of them in groups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from rmqwork._cli.applications import app_argument, load
from rmqwork._cli.dlq.choosing import choosing_options, left_out, look, selection_of
from rmqwork._cli.exit_codes import FAILED
from rmqwork._cli.output import Column, as_json_option, console, note, print_json, table
from rmqwork._cli.text import brief_moment, cut, plain

if TYPE_CHECKING:
    from rich.table import Table

    from rmqwork._admin.deadletters.groups import Groups
    from rmqwork._admin.deadletters.reading import Reading
    from rmqwork._cli.dlq.letters import Collection, Row

_REASON_LENGTH: Final = 160
_MESSAGE_LENGTH: Final = 80
_TABLE_WIDTH: Final = 120
"""Columns of a terminal below which letters are printed as blocks."""


@click.command("list")
@app_argument
@choosing_options
@click.option(
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    default=20,
    show_default=True,
    help="Rows of each queue, the newest; all are counted.",
)
@click.option("--check", is_flag=True, help="Exit with 1 if there are any, for scripts.")
@as_json_option
def list_letters(app: str | None, limit: int, check: bool, as_json: bool, **chosen: Any) -> int:
    """List dead letters, the newest first, and count all of them in groups.

    A group has one queue, task, reason, error and place in the code. Reading removes nothing and
    keeps the order. Copies with one id and attempt count once.
    """
    from rmqwork._cli.dlq.letters import Collection

    selection = selection_of(chosen)
    found = Collection(limit)
    readings = look(load(app), chosen["queues"], found.add, selection)
    if as_json:
        print_json(_document(readings, found))
    else:
        _print(readings, found)
    for remark in left_out(readings):
        note(remark)
    return FAILED if check and found.letters else 0


def _document(readings: list[Reading], found: Collection) -> dict[str, Any]:
    from rmqwork._cli.dlq.letters import group_to_json

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
        "groups": [group_to_json(group) for group in found.groups.largest_first()],
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
            title = (
                f"{reading.dead_letter_queue}: {reading.waiting} waiting, newest first, "
                f"{len(rows)} shown"
            )
            cells = [_cells(row, now) for row in rows]
            if out.width < _TABLE_WIDTH:
                out.print(f"{title}\n\n{_blocks(cells)}\n")
            else:
                out.print(table(columns, cells, title))
    if found.letters:
        out.print(groups_table(found.groups, now))
        out.print("rmqwork dlq show ID shows one; rmqwork dlq replay --group GROUP replays a group")
    else:
        fits = " that fit" if any(reading.waiting for reading in readings) else ""
        places = ", ".join(reading.dead_letter_queue for reading in readings)
        out.print(f"no dead letters{fits} in {places}")


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


def groups_table(groups: Groups, now: datetime) -> Table:
    """Groups for people, the largest first."""
    columns = [
        Column("group", whole=True),
        Column("count", "right", whole=True),
        Column("first (UTC)", whole=True),
        Column("last (UTC)", whole=True),
        Column("queue"),
        Column("task"),
        Column("reason"),
        Column("where, or message"),
    ]
    rows = [
        [
            group.id,
            group.count,
            brief_moment(group.first, now),
            brief_moment(group.last, now),
            group.key.queue,
            group.key.task or "-",
            ": ".join(part for part in (group.key.reason, group.key.error_type) if part),
            group.where or cut(" ".join(group.message.split()), _MESSAGE_LENGTH) or "-",
        ]
        for group in groups.largest_first()
    ]
    return table(columns, rows, f"all {groups.letters} in groups")
