"""``python -m tools.chaos``: break things under load, and count what became of each message."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tools.chaos.campaign import ChaosOptions, perform


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", "seeds", type=int, multiple=True, help="Seed of a run; may be repeated.")
@click.option("--runs", type=click.IntRange(1), help="Run the seeds 1 to this number instead.")
@click.option(
    "--seconds",
    type=click.FloatRange(5),
    default=60.0,
    show_default=True,
    help="Seconds of each run in which things are broken.",
)
@click.option(
    "--rate", type=click.FloatRange(1), default=50.0, show_default=True, help="Publishes a second."
)
@click.option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, help="Worker processes."
)
@click.option(
    "-p",
    "--processes",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Executor processes of each worker.",
)
@click.option(
    "--producers", type=click.IntRange(1), default=2, show_default=True, help="Producer processes."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Folder of ledgers, logs, timelines and verdicts. Default: a temporary one.",
)
@click.option("--heartbeat", type=click.IntRange(1), default=5, show_default=True, help="Seconds.")
@click.option(
    "--patience",
    type=click.FloatRange(1),
    default=240.0,
    show_default=True,
    help="Seconds after the last fault in which everything must be settled.",
)
@click.option("--image", help="Image of the broker's container. Default: rabbitmq:4-management.")
def chaos(seeds: tuple[int, ...], runs: int | None, **options: Any) -> None:
    """Break processes, connections and the broker under load; count what became of each message.

    The same seed gives the same faults. A broker of its own is started (a container, or an
    installed rabbitmq-server); one that RMQWORK_BROKER names is used and not broken. Exit code 1 if
    a message was lost, stranded or unexpected, or was dead-lettered as failed without having run.
    """
    sys.exit(perform(ChaosOptions(seeds=seeds or tuple(range(1, (runs or 1) + 1)), **options)))


if __name__ == "__main__":
    chaos(prog_name="python -m tools.chaos")
