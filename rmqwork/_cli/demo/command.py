"""``rmqwork demo``: a real load on a real RabbitMQ, and a ledger at the end."""

from __future__ import annotations

from pathlib import Path

import click

from rmqwork._cli.checks import COUNT


@click.command
@click.option(
    "--tasks", type=COUNT, metavar="N", default=2000, show_default=True, help="Messages to publish."
)
@click.option("--keep", is_flag=True, help="Keep broker and files to look around, until Ctrl-C.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="For images and logs, which stay there. Default: a temporary one.",
)
def demo(tasks: int, keep: bool, folder: Path | None) -> int:
    """Publish a mixed load to real queues, run workers, stop one in the middle, count all.

    Uses RMQWORK_BROKER if set, else a container, else an installed rabbitmq-server.
    """
    from rmqwork._cli.demo.options import DemoOptions, run

    return run(DemoOptions(tasks=tasks, keep=keep, folder=folder))
