"""``rmqwork dlq``: dead letters, one module a verb."""

from __future__ import annotations

import click

from rmqwork.cli.dlq.listing import list_letters
from rmqwork.cli.dlq.showing import show_letter


@click.group
def group() -> None:
    """Dead letters: messages that failed for good."""


group.add_command(list_letters)
group.add_command(show_letter)
