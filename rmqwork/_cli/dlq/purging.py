"""``rmqwork dlq purge``: remove dead letters for good."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from rmqwork._cli.applications import connector, load
from rmqwork._cli.dlq.asking import agreed, on_terminal
from rmqwork._cli.dlq.choosing import (
    app_and_ids,
    choosing_options,
    chosen,
    look,
    selection_of,
)
from rmqwork._cli.dlq.nothing import NoSuchLetter
from rmqwork._cli.exit_codes import FAILED
from rmqwork._cli.output import as_json_option, console, note, print_json
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._messages.dead_letter import DeadLetter


@click.command("purge")
@click.argument("arguments", nargs=-1, metavar="[APP] [ID]...")
@choosing_options
@click.option("--all", "everything", is_flag=True, help="All that fit; needed where nothing else.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can be asked.")
@as_json_option
def purge_letters(
    arguments: tuple[str, ...], everything: bool, yes: bool, as_json: bool, **choice: Any
) -> int:
    """Remove dead letters for good. rmqwork dlq export keeps them in a file before.

    Asks first, and then removes what it has shown, not what comes meanwhile.

    Exit codes: 0 removed; 1 not agreed to; 2 usage; 3 nothing fits; 4 no broker.
    """
    from rmqwork._admin.deadletters.groups import Groups
    from rmqwork._admin.deadletters.purging import purge_all, seen_as

    path, ids = app_and_ids(arguments)
    queues = choice.pop("queues")
    selection = selection_of(choice, ids)
    if selection.everything and not everything:
        raise ConfigurationError("dlq purge needs ids, --group, a filter, or --all")
    if not yes and not on_terminal():
        raise ConfigurationError("dlq purge asks first, and nobody is there: give --yes")
    app = load(path)
    seen: set[int] | None = None
    if not yes:
        from rmqwork._cli.dlq.listing import groups_table

        seen, groups = set(), Groups()

        def visit(letter: DeadLetter) -> None:
            seen.add(seen_as(letter))
            groups.add(letter)

        look(app, queues, visit, selection)
        if seen:
            console().print(groups_table(groups, datetime.now(UTC)))
            if not agreed(f"remove these {groups.letters} dead letters for good?"):
                note("nothing was removed")
                return FAILED
    allowed = None if seen is None else frozenset(seen)
    removed = asyncio.run(purge_all(connector(app), chosen(app, queues), selection, allowed))
    if as_json:
        print_json({"removed": removed})
    elif removed:
        print(f"{removed} removed")
    if not removed:
        raise NoSuchLetter("no dead letter fits; nothing was removed")
    return 0
