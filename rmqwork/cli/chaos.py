"""``rmqwork chaos``: load, faults drawn from a seed, and what became of each message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, help="Of a run; may be given again.")
@click.option("--runs", type=click.IntRange(1), help="Run the seeds 1 to this instead.")
@click.option(
    "--seconds",
    type=click.FloatRange(5),
    default=60.0,
    show_default=True,
    help="For which things are broken, in each run.",
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
    help="Executor processes of each.",
)
@click.option(
    "--producers", type=click.IntRange(1), default=2, show_default=True, help="Producer processes."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="For ledgers, logs, timelines and verdicts. Default: a temporary one.",
)
@click.option("--heartbeat", type=click.IntRange(1), default=5, show_default=True, help="Seconds.")
@click.option(
    "--patience",
    type=click.FloatRange(1),
    default=240.0,
    show_default=True,
    help="Seconds to settle everything in, at the end.",
)
@click.option("--image", help="Of the broker's container. Default: rabbitmq:4-management.")
def chaos(seeds: tuple[int, ...], runs: int | None, **options: Any) -> int:
    """Break processes, connections and the broker under load; count what became of each message.

    The same seed gives the same faults. A broker of its own is started (a container, or an
    installed rabbitmq-server); one that RMQWORK_BROKER names is used and not broken. Exit code 1 if
    a message was lost, stranded or unexpected, or was dead-lettered as failed without having run.
    """
    from rmqwork.chaos import ChaosOptions, run

    return run(ChaosOptions(seeds=seeds or tuple(range(1, (runs or 1) + 1)), **options))
