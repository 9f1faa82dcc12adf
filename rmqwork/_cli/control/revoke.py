"""``rmqwork revoke``: tasks that are not to run, or not to run on."""

from __future__ import annotations

import click

from rmqwork._cli.applications import load
from rmqwork._cli.output import as_json_option, print_json
from rmqwork._cli.text import counted
from rmqwork.errors import ConfigurationError


@click.command
@click.argument("arguments", nargs=-1, metavar="[APP] [ID]...")
@click.option(
    "--workflow",
    "workflows",
    metavar="ID",
    multiple=True,
    help="All tasks of this workflow; may be repeated.",
)
@click.option(
    "--terminate", is_flag=True, help="Kill the process of a task that runs in a thread, too."
)
@click.option("--undo", is_flag=True, help="Take it back; what was dropped stays so.")
@as_json_option
def revoke(
    arguments: tuple[str, ...],
    workflows: tuple[str, ...],
    terminate: bool,
    undo: bool,
    as_json: bool,
) -> int:
    """Revoke tasks by their ids: they are dead-lettered as "revoked" instead of run.

    One that waits is dropped when its turn comes, a delayed one when it returns. One that runs is
    cancelled if it is a coroutine or isolated, and with --terminate in any case.
    """
    ids = list(arguments)
    path = ids.pop(0) if ids and ":" in ids[0] else None
    if not ids and not workflows:
        raise ConfigurationError("revoke takes [APP] ID..., or --workflow ID; see --help")
    app = load(path)
    try:
        app.revoke(ids, workflow=workflows, terminate=terminate, undo=undo)
    finally:
        app.close()
    if as_json:
        print_json({"ids": ids, "workflows": list(workflows), "undo": undo})
    else:
        word = "not revoked any more" if undo else "revoked"
        print(f"{word}: {counted(len(ids), 'task')}, {counted(len(workflows), 'workflow')}")
    return 0
