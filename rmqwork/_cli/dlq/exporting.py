"""``rmqwork dlq export`` and ``import``: dead letters as lines of JSON."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from rmqwork._cli.applications import connector, load
from rmqwork._cli.dlq.asking import bar
from rmqwork._cli.dlq.choosing import (
    app_and_ids,
    choosing_options,
    left_out,
    look,
    selection_of,
)
from rmqwork._cli.dlq.nothing import NoSuchLetter
from rmqwork._cli.exit_codes import FAILED
from rmqwork._cli.output import as_json_option, note, print_json
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._messages.dead_letter import DeadLetter


@click.command("export")
@click.argument("arguments", nargs=-1, metavar="[APP] [ID]...")
@choosing_options
@click.option("-o", "--output", metavar="FILE", help="Write here; default: stdout.")
@click.option("--json", "as_json", is_flag=True, help="With -o: print the count as JSON.")
def export_letters(
    arguments: tuple[str, ...], output: str | None, as_json: bool, **choice: Any
) -> int:
    """Write dead letters as lines of JSON, byte for byte, copies too; removes nothing.

    Exit codes: 0 written; 1 another reader had some; 2 usage; 3 nothing fits; 4 no broker.
    """
    from rmqwork._admin.deadletters.records import to_line

    path, ids = app_and_ids(arguments)
    selection = selection_of(choice, ids)
    app = load(path)
    count = 0
    with ExitStack() as stack:
        out: IO[str] = sys.stdout
        if output is not None:
            try:
                out = stack.enter_context(_part(output).open("w", encoding="ascii"))
            except OSError as error:
                raise ConfigurationError(
                    f"--output {output}: cannot be written: {error.strerror}"
                ) from None

        def write(letter: DeadLetter) -> None:
            nonlocal count
            count += 1
            out.write(to_line(letter) + "\n")

        readings = look(app, choice["queues"], write, selection)
    if output is not None:
        os.replace(_part(output), output)
        if as_json:
            print_json({"exported": count, "file": output})
        else:
            note(f"{count} written to {output}")
    remarks = left_out(readings)
    for remark in remarks:
        note(remark)
    if not count:
        raise NoSuchLetter("no dead letter fits; nothing was written")
    return FAILED if remarks else 0


def _part(output: str) -> Path:
    """Return the file that is written before it takes the name of ``output``."""
    return Path(f"{output}.part")


@click.command("import")
@click.argument("arguments", nargs=-1, metavar="[APP] FILE")
@click.option("--to", metavar="QUEUE", help="As dead letters of this queue; default: as they were.")
@as_json_option
def import_letters(arguments: tuple[str, ...], to: str | None, as_json: bool) -> None:
    """Put exported dead letters back into their dead-letter queues; FILE may be - for stdin.

    Letters that are there already are left out, so an import that broke off can be run again. All
    lines are checked before the first is published.

    Exit codes: 0 all are there; 1 refused; 2 a line is no dead letter; 4 no broker.
    """
    from rmqwork._admin.deadletters.importing import import_all

    path, rest = app_and_ids(arguments)
    if len(rest) != 1:
        raise ConfigurationError("dlq import takes [APP] FILE; see rmqwork dlq import --help")
    letters = _read(rest[0])
    with bar("importing", not as_json) as progress:
        done = asyncio.run(
            import_all(
                connector(load(path)), letters, to, lambda count: progress(count, len(letters))
            )
        )
    if as_json:
        print_json({"imported": done.published, "there_already": done.there})
        return
    there = f", {done.there} were there already" if done.there else ""
    print(f"{done.published} imported{there}")


def _read(name: str) -> list[DeadLetter]:
    from rmqwork._admin.deadletters.records import from_line

    letters = []
    try:
        with ExitStack() as stack:
            lines: IO[bytes] = sys.stdin.buffer
            if name != "-":
                lines = stack.enter_context(Path(name).open("rb"))
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        letters.append(from_line(line.decode()))
                    except (ConfigurationError, UnicodeDecodeError) as error:
                        raise ConfigurationError(f"{name}, line {number}: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
    return letters
