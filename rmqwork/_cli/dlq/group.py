"""``rmqwork dlq``: dead letters, one module a verb."""

from __future__ import annotations

import click

from rmqwork._cli.program import Verbs

_VERBS = {
    "list": "rmqwork._cli.dlq.listing:list_letters",
    "show": "rmqwork._cli.dlq.showing:show_letter",
    "replay": "rmqwork._cli.dlq.replaying:replay_letters",
    "edit": "rmqwork._cli.dlq.editing:edit_letter",
    "export": "rmqwork._cli.dlq.exporting:export_letters",
    "import": "rmqwork._cli.dlq.exporting:import_letters",
    "purge": "rmqwork._cli.dlq.purging:purge_letters",
}


@click.group(name="dlq", cls=Verbs, verbs=_VERBS)
def group() -> None:
    """Dead letters: messages that failed for good. Find, understand, repair, replay."""
