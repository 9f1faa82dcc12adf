"""``rmqwork dlq list``: the newest dead letters, and all of them in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rmqwork.cli.applications import app_argument, load
from rmqwork.cli.dlq.choosing import look, queue_option
from rmqwork.cli.output import Column, as_json_option, console, note, print_json, table
from rmqwork.cli.text import moment

if TYPE_CHECKING:
    from rmqwork.cli.dlq.letters import Collection, Row
    from rmqwork.deadletters import Reading


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
    columns = [
        Column("id", whole=True),
        Column("task"),
        Column("reason"),
        Column("error"),
        Column("attempt", "right"),
        Column("when (UTC)"),
    ]
    for reading in readings:
        rows = list(found.newest_first(reading.dead_letter_queue))
        if rows:
            title = f"{reading.dead_letter_queue}: {reading.waiting} waiting, newest first"
            if len(rows) < reading.read:
                title += f", {len(rows)} shown"
            out.print(table(columns, [_cells(row) for row in rows], title))
    if found.letters:
        out.print(_groups(found))
        out.print("rmqwork dlq show ID shows one with its body and traceback")
    else:
        names = ", ".join(reading.dead_letter_queue for reading in readings)
        out.print(f"no dead letters in {names}", markup=False)


def _cells(row: Row) -> list[object]:
    error = ": ".join(part for part in (row.error_type, row.error_message) if part)
    return [
        (row.id or "-") + (f" ({row.copies} copies)" if row.copies > 1 else ""),
        row.task or "-",
        f"{row.reason} (broker)" if row.by_broker else row.reason,
        " ".join(error.split()) or "-",
        row.attempt,
        moment(row.at),
    ]


def _groups(found: Collection) -> object:
    columns = [
        Column("count", "right"),
        Column("queue"),
        Column("task"),
        Column("reason"),
        Column("error type"),
        Column("first (UTC)"),
        Column("last (UTC)"),
    ]
    rows = [
        [
            group.count,
            kind.queue,
            kind.task or "-",
            kind.reason,
            kind.error_type or "-",
            moment(group.first),
            moment(group.last),
        ]
        for kind, group in found.by_count()
    ]
    return table(columns, rows, f"all {found.letters} by queue, task, reason and error")
