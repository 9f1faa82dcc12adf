"""``rmqwork demo``: a real load on a real RabbitMQ, and a ledger at the end."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Final

import click

from rmqwork._cli.checks import COUNT

EXIT_CANNOT: Final = 2
"""Exit code: something is missing here; the message says what, and how to get it."""


@click.command
@click.option(
    "--tasks", type=COUNT, metavar="N", default=2000, show_default=True, help="Messages to publish."
)
@click.option("--keep", is_flag=True, help="Keep broker and files to look around, until Ctrl-C.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of images and logs, which stay there. Default: a temporary one.",
)
def demo(tasks: int, keep: bool, folder: Path | None) -> int:
    """Publish a mixed load to real queues, run workers, stop one in the middle, count all.

    Uses RMQWORK_BROKER if set, else a container, else an installed rabbitmq-server.
    """
    if importlib.util.find_spec("PIL") is None:
        print(
            "rmqwork demo draws images and needs Pillow for it: pip install 'rmqwork[demo]'",
            file=sys.stderr,
        )
        return EXIT_CANNOT
    from rmqwork._cli.demo.run import perform

    return perform(tasks, keep=keep, folder=folder)
