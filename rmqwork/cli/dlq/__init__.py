"""``rmqwork dlq``: dead letters, one module a verb."""

from __future__ import annotations

import click

from rmqwork.cli.program import Verbs

_VERBS = {
    "list": "rmqwork.cli.dlq.listing:list_letters",
    "show": "rmqwork.cli.dlq.showing:show_letter",
    "replay": "rmqwork.cli.dlq.replaying:replay_letters",
    "edit": "rmqwork.cli.dlq.editing:edit_letter",
    "export": "rmqwork.cli.dlq.exporting:export_letters",
    "import": "rmqwork.cli.dlq.exporting:import_letters",
    "purge": "rmqwork.cli.dlq.purging:purge_letters",
}


@click.group(cls=Verbs, verbs=_VERBS)
def group() -> None:
    """Dead letters: messages that failed for good. Find, understand, repair, replay."""
