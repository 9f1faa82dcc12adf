"""``rmqwork queues``: what waits where."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from rmqwork._cli.applications import app_argument, connector, load
from rmqwork._cli.output import Column, as_json_option, console, print_json, table

if TYPE_CHECKING:
    from rich.console import Console

    from rmqwork._cli.rates import Rates
    from rmqwork._tasks.app import App
    from rmqwork._topology.topology import Queue
    from rmqwork._transport.port import Link


@click.command
@app_argument
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    default=2.0,
    show_default=True,
    help="Between two looks.",
)
@as_json_option
def queues(app: str | None, watch: bool, every: float, as_json: bool) -> None:
    """Show each queue: ready messages, consumers, dead letters, and what is delayed.

    Works over AMQP alone. If the management interface answers, messages in work and rates are
    shown, too. With --watch --json one document a line.
    """
    found = load(app)
    asyncio.run(_show(found, every if watch else None, as_json))


async def _show(app: App, every: float | None, as_json: bool) -> None:
    from rmqwork._cli.rates import Rates

    rates = Rates(app.settings.broker, app.settings.management_url)
    out = console()
    link = await connector(app).open("rmqwork queues")
    try:
        while True:
            state = await look(link, app, rates)
            if as_json:
                print_json(state)
                sys.stdout.flush()
            else:
                _print(out, state, clear=every is not None)
            if every is None:
                return
            await asyncio.sleep(every)
    finally:
        await link.close()


async def look(link: Link, app: App, rates: Rates) -> dict[str, Any]:
    """The state of all queues of an app, as JSON values."""
    from rmqwork._topology.delays import LEVELS, level_name
    from rmqwork._topology.topology import UNROUTABLE

    more = await rates.read()
    delayed = [await link.depth(level_name(level)) for level in range(LEVELS)]
    unroutable = await link.depth(UNROUTABLE)
    return {
        "broker": f"{link.server}",
        "queues": [await _queue(link, queue, more) for queue in app.queues.values()],
        "delayed": sum(depth.messages for depth in delayed if depth is not None),
        "unroutable": None if unroutable is None else unroutable.messages,
        "management": more is not None,
    }


async def _queue(
    link: Link, queue: Queue, more: dict[str, dict[str, Any]] | None
) -> dict[str, Any]:
    from rmqwork._topology.topology import dead_letter_queue, suspects_queue

    by_name = {name: await link.depth(name) for name in queue.consumed()}
    depths = [depth for depth in by_name.values() if depth is not None]
    dead = await link.depth(dead_letter_queue(queue.name))
    suspects = by_name.get(suspects_queue(queue.name))
    known = [] if more is None else [more.get(name, {}) for name in queue.consumed()]
    main = len(depths) if queue.partitions is not None else 1  # the rest are beside it
    return {
        "queue": queue.name,
        "exists": bool(depths),
        "type": known[0].get("type", queue.type) if known else queue.type,
        "ready": sum(depth.messages for depth in depths) if depths else None,
        "partitions": queue.partitions,
        "consumers": min(depth.consumers for depth in depths[:main]) if depths else None,
        "suspects": None if suspects is None else suspects.messages,
        "dead_letters": None if dead is None else dead.messages,
        "unacked": sum(one.get("unacked", 0) for one in known) if known else None,
        "in_per_s": _sum(known[:main], "in_per_s"),
        "out_per_s": _sum(known[:main], "out_per_s"),
    }


def _sum(known: list[dict[str, Any]], figure: str) -> float | None:
    found = [one[figure] for one in known if one.get(figure) is not None]
    return round(sum(found), 1) if found else None


def _print(out: Console, state: dict[str, Any], clear: bool) -> None:
    columns = [
        Column("queue", whole=True),
        Column("type", whole=True),
        Column("ready", "right", whole=True),
        Column("consumers", "right", whole=True),
        Column("dlq", "right", whole=True),
    ]
    if state["management"]:
        columns += [
            Column("unacked", "right", whole=True),
            Column("in/s", "right", whole=True),
            Column("out/s", "right", whole=True),
        ]
    rows = [_cells(queue, state["management"]) for queue in state["queues"]]
    if clear and out.is_terminal:
        out.clear()
    out.print(table(columns, rows, state["broker"]))
    out.print(f"waiting in the delay queues: {state['delayed']}")
    if suspects := [one for one in state["queues"] if one["suspects"]]:
        told = ", ".join(f"{one['suspects']} of {one['queue']}" for one in suspects)
        out.print(f"suspects: {told} (among the ready; their workers keep dying)")
    unroutable = state["unroutable"]
    out.print(f"unroutable: {'absent' if unroutable is None else unroutable}")
    sys.stdout.flush()


def _cells(queue: dict[str, Any], management: bool) -> list[object]:
    if not queue["exists"]:
        cells: list[object] = [_name(queue), "absent", "-", "-", _or_dash(queue["dead_letters"])]
    else:
        cells = [
            _name(queue),
            queue["type"],
            queue["ready"],
            queue["consumers"],
            _or_dash(queue["dead_letters"]),
        ]
    if management:
        cells += [_or_dash(queue[name]) for name in ("unacked", "in_per_s", "out_per_s")]
    return cells


def _name(queue: dict[str, Any]) -> str:
    count = queue["partitions"]
    return str(queue["queue"]) if count is None else f"{queue['queue']}.0-{count - 1}"


def _or_dash(value: object) -> object:
    return "-" if value is None else value
