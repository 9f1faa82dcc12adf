"""``rmqwork bench``: how quick rmqwork is on this machine, with your broker."""

from __future__ import annotations

import click

from rmqwork._cli.checks import COUNT
from rmqwork._cli.output import Column, as_json_option, console, note, print_json, table


@click.command
@click.option(
    "--tasks", type=COUNT, metavar="N", default=20_000, show_default=True, help="Messages at most."
)
@click.option(
    "--size",
    type=COUNT,
    metavar="BYTES",
    default=256,
    show_default=True,
    help="Of a body, about.",
)
@click.option(
    "-p", "--processes", type=COUNT, metavar="N", default=1, show_default=True, help="Executors."
)
@click.option("--broker", metavar="URL", help="amqp://…; default: RMQWORK_BROKER.")
@as_json_option
def bench(tasks: int, size: int, processes: int, broker: str | None, as_json: bool) -> int:
    """Publish to your broker, run no-op tasks, and say how quick that was.

    Uses a quorum queue of its own, rmqwork-bench-…, with confirms and acks after execution as ever,
    and deletes it. Broker and machine should have nothing else to do; beside other libraries:
    make bench in a checkout.
    """
    from rmqwork._cli.bench.measure import Bench
    from rmqwork._config.settings import load_settings

    address = broker or ",".join(load_settings().broker)
    figures = Bench(address, tasks, size, processes, note).run()
    if as_json:
        print_json({one.name: {"value": one.value, "unit": one.unit} for one in figures})
        return 0
    rows = [(one.name, _shown(one.value, one.unit)) for one in figures]
    console().print(table([Column("measured"), Column("result", "right")], rows))
    return 0


def _shown(value: float, unit: str) -> str:
    return f"{value:,.0f} a second" if unit == "1/s" else f"{value:.1f} {unit}"
