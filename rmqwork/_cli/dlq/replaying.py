"""``rmqwork dlq replay``: publish dead letters again, and remove them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from rmqwork._cli.applications import connector, load
from rmqwork._cli.dlq.asking import agreed, bar, on_terminal
from rmqwork._cli.dlq.choosing import (
    app_and_ids,
    choosing_options,
    chosen,
    look,
    selection_of,
)
from rmqwork._cli.dlq.nothing import NoSuchLetter
from rmqwork._cli.exit_codes import FAILED
from rmqwork._cli.output import as_json_option, note, print_json
from rmqwork._cli.text import plain
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._admin.deadletters.replaying import Replayed, ReplaySpec
    from rmqwork._admin.deadletters.selection import Selection
    from rmqwork._tasks.app import App


@click.command("replay")
@click.argument("arguments", nargs=-1, metavar="[APP] [ID]...")
@choosing_options
@click.option("--all", "everything", is_flag=True, help="All that fit; needed where nothing else.")
@click.option("--to", metavar="QUEUE", help="To this queue; default: each where it failed.")
@click.option("--rate", type=float, metavar="N", help="At most N a second.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N, the oldest first.")
@click.option(
    "--window",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    show_default=True,
    help="Publish N before waiting for the confirms: faster; a kill may double as many.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
def replay_letters(
    arguments: tuple[str, ...],
    everything: bool,
    yes: bool,
    as_json: bool,
    to: str | None,
    rate: float | None,
    limit: int | None,
    window: int,
    dry_run: bool,
    **choice: Any,
) -> int:
    """Publish dead letters again, to the queue that they failed in, and remove them.

    Id, body and properties stay; attempts count anew. A letter goes when the broker has confirmed
    its message, so nothing is lost whenever this is killed: run it again. Copies go once.

    Exit codes: 0 all was replayed; 1 some stay, with the reason; 2 usage; 3 nothing fits; 4 no
    broker.
    """
    from rmqwork._admin.deadletters.replaying import ReplaySpec

    path, ids = app_and_ids(arguments)
    queues = choice.pop("queues")
    selection = selection_of(choice, ids)
    if ids and everything:
        raise ConfigurationError("dlq replay takes ids or --all, not both; APP is module:attribute")
    if selection.everything and not everything:
        raise ConfigurationError("dlq replay needs ids, --group, a filter, or --all")
    order = ReplaySpec(to=to, rate=rate, limit=limit, window=window, dry_run=dry_run)
    app = load(path)
    if not (yes or ids or dry_run) and on_terminal() and not _wanted(app, queues, selection, order):
        note("nothing was replayed")
        return FAILED
    report = _replay(app, chosen(app, queues), selection, order, as_json)
    _tell(report, order, as_json)
    if not report.selected and not report.unseen:
        raise NoSuchLetter("no dead letter fits; rmqwork dlq list shows what is there")
    return FAILED if report.refused or report.unseen or _left(report, order) else 0


def _replay(
    app: App, queues: list[str], selection: Selection, order: ReplaySpec, quiet: bool
) -> Replayed:
    from rmqwork._admin.deadletters.replaying import Replayed, replay_all

    report = Replayed()
    try:
        with bar("replaying", not quiet) as progress:
            work = replay_all(connector(app), queues, selection.takes, order, report, progress)
            asyncio.run(work)
    except BaseException:
        if report.replayed:
            note(f"{report.replayed} were replayed before that; the rest stays")
        raise
    return report


def _wanted(app: App, queues: tuple[str, ...], selection: Selection, order: ReplaySpec) -> bool:
    from rmqwork._admin.deadletters.groups import Groups

    found = Groups()
    look(app, queues, found.add, selection)
    count = found.letters if order.limit is None else min(order.limit, found.letters)
    if not count:
        return True
    kinds = len(found.largest_first())
    where = f"queue {order.to}" if order.to else "the queues they failed in"
    return agreed(f"replay {count} dead letters of {kinds} groups to {where}?")


def _left(report: Replayed, order: ReplaySpec) -> int:
    return 0 if order.dry_run else report.selected - report.replayed - report.refused.total()


def _tell(report: Replayed, order: ReplaySpec, as_json: bool) -> None:
    left = _left(report, order)
    if as_json:
        print_json(
            {
                "dry_run": order.dry_run,
                "selected": report.selected,
                "replayed": report.replayed,
                "copies_removed": report.copies,
                "refused": dict(report.refused),
                "left": left,
                "unseen": report.unseen,
                "targets": dict(report.targets),
            }
        )
    elif report.selected:
        verb = "would be replayed" if order.dry_run else "replayed"
        for target, count in report.targets.most_common():
            print(plain(f"{count} {verb} to {target}"))
        if report.copies:
            print(f"{report.copies} copies of these were removed")
    for why, count in report.refused.most_common():
        note(f"{count} stay: {why}")
    if left:
        note(f"{left} stay: another reader had them, run it again")
    if report.unseen:
        note(f"{report.unseen} were in the hands of another reader; run it again")
