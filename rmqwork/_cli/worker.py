"""``rmqwork worker``: run the app's tasks. Imports neither the app nor what only an app needs."""

from __future__ import annotations

from typing import Any

import click

from rmqwork._cli.applications import app_argument, app_path
from rmqwork._cli.checks import COUNT, PORT, PREFETCH, SECONDS, SIZE


@click.command
@app_argument
@click.option(
    "-Q",
    "--queues",
    metavar="NAMES",
    help="a,b: strict priority, in this order; a:3,b:1: by weight. Default: all of the app's.",
)
@click.option("-p", "--processes", type=COUNT, metavar="N", help="Executor processes.")
@click.option(
    "-c",
    "--concurrency",
    type=COUNT,
    metavar="N",
    help="Tasks in threads at once, in each of them.",
)
@click.option(
    "--async-concurrency", type=COUNT, metavar="N", help="Async tasks at once, in each of them."
)
@click.option(
    "--prefetch",
    type=PREFETCH,
    metavar="N",
    help="Messages held of each queue. Default: as many as can start soon.",
)
@click.option(
    "--grace", type=SECONDS, metavar="SECONDS", help="What running tasks have after SIGTERM."
)
@click.option("--broker", metavar="URL", help="amqp://…, several separated by commas.")
@click.option(
    "--broker-wait", type=SECONDS, metavar="SECONDS", help="How long to wait for it at the start."
)
@click.option(
    "--preload/--no-preload", default=True, help="Import the app once and fork executors from it."
)
@click.option(
    "--max-tasks", type=COUNT, metavar="N", help="Replace an executor after so many tasks."
)
@click.option(
    "--max-memory",
    type=SIZE,
    metavar="SIZE",
    help="Replace an executor above this memory (400MB, 1GiB), between tasks.",
)
@click.option(
    "--no-declare",
    "declare",
    flag_value=False,
    type=bool,
    default=None,
    help="See that the topology is there, and make nothing: for a user without the right.",
)
@click.option("--health-port", type=PORT, metavar="PORT", help="For probes and metrics.")
@click.option(
    "--log-format",
    type=click.Choice(["human", "json"]),
    help="Default: human on a terminal, else json.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
)
@click.option("--name", metavar="TEXT", help="Of this worker, for people. Default: the host's.")
def worker(app: str | None, queues: str | None, name: str | None, **options: Any) -> int:
    """Run the app's tasks until SIGTERM or SIGINT.

    On the first signal it takes nothing new, hands back what has not started, and waits for what
    runs, up to --grace; a second one hands back at once. What is left out comes from the app's
    settings, RMQWORK_… variables or a file.

    \b
    Exit codes:
      0  all that ran was finished
      1  an unexpected error
      2  bad configuration: the app, an option, the topology
      3  tasks were handed back unfinished, or an outcome could not be settled
      4  no broker within --broker-wait

    \b
    Example:
      rmqwork worker shop.app:app -Q high_priority:3,low_priority:1 -p 2 -c 8
    """
    from rmqwork._worker.model.options import WorkerOptions, parse_queues
    from rmqwork._worker.starting import run_worker

    options["log_level"] = options["log_level"].upper()
    if name is not None:
        options["name"] = name
    chosen = () if queues is None else parse_queues(queues)
    return run_worker(WorkerOptions(app=app_path(app), queues=chosen, **options))
