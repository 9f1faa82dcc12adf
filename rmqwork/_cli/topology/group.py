"""``rmqwork topology``: exchanges, queues and bindings as code, one module a verb."""

from __future__ import annotations

import click

from rmqwork._cli.topology.applying import apply
from rmqwork._cli.topology.exporting import export
from rmqwork._cli.topology.migrating import migrate
from rmqwork._cli.topology.planning import plan
from rmqwork._cli.topology.rights import rights


@click.group(name="topology")
def group() -> None:
    """Exchanges, queues and bindings: what is missing, and to make them."""


for verb in (plan, apply, export, migrate, rights):
    group.add_command(verb)
