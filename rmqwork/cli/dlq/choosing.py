"""Which dead-letter queues a verb is about, and reading them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from rmqwork.cli.applications import connector
from rmqwork.errors import ConfigurationError
from rmqwork.topology import UNROUTABLE, dead_letter_queue

if TYPE_CHECKING:
    from rmqwork.app import App
    from rmqwork.deadletters import DeadLetter, Reading

queue_option = click.option(
    "-Q",
    "--queue",
    "queues",
    metavar="NAME",
    multiple=True,
    help="Of this queue only; may be repeated. Also rmqwork.unroutable.",
)


def chosen(app: App, queues: Sequence[str]) -> list[str]:
    """The queues that are meant; ``orders.dlq`` means ``orders``."""
    if not queues:
        return list(app.queues)
    suffix = dead_letter_queue("")
    names = [
        name.removesuffix(suffix) if name not in app.queues else name
        for part in queues
        for name in part.split(",")
    ]
    return list(dict.fromkeys(name for name in names if name))


def look(app: App, queues: Sequence[str], visit: Callable[[DeadLetter], None]) -> list[Reading]:
    """Show all dead letters of the chosen queues to ``visit``.

    Raises:
        ConfigurationError: a queue that was named has no dead-letter queue.
    """
    from rmqwork import deadletters

    readings = deadletters.scan(connector(app), chosen(app, queues), visit)
    missing = [reading.dead_letter_queue for reading in readings if not reading.exists]
    if missing and queues:
        what = ", ".join(repr(name) for name in missing)
        known = ", ".join([*app.queues, UNROUTABLE])
        raise ConfigurationError(
            f"there is no queue {what} on the broker; the app has {known} (a worker declares them)"
        )
    return readings
