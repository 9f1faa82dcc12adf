"""``rmqwork topology plan``: what ``apply`` would do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from rmqwork._cli.applications import app_argument, connector, load
from rmqwork._cli.output import as_json_option, print_json
from rmqwork._cli.text import plain

if TYPE_CHECKING:
    from rmqwork._admin.provision.planning import Plan
    from rmqwork._tasks.app import App
    from rmqwork._topology.topology import Bind

TO_DO: Final = 5
DIFFERS: Final = 6


@click.command
@app_argument
@as_json_option
def plan(app: str | None, as_json: bool) -> int:
    """Show what `apply` would make, and what differs; changes nothing.

    \b
    Exit codes:
      0  nothing to do
      2  bad configuration
      4  no broker
      5  something is missing, and `apply` makes it
      6  something exists with other properties, which `apply` leaves alone: see `migrate`
    """
    found = asyncio.run(_plan(load(app)))
    if as_json:
        print_json(as_values(found))
    else:
        print_plan(found)
    return exit_code(found)


async def _plan(app: App) -> Plan:
    from rmqwork._admin.provision.looking import plan_of, whole_plan

    link = await connector(app).open("rmqwork topology plan")
    try:
        return await plan_of(app.settings, whole_plan(app), link)
    finally:
        await link.close()


def exit_code(found: Plan) -> int:
    """See `plan`."""
    if found.differs:
        return DIFFERS
    return TO_DO if found.to_do else 0


def as_values(found: Plan) -> dict[str, Any]:
    """A plan as JSON values."""
    from rmqwork._topology.topology import DeclareQueue

    return {
        "create": [
            {
                "kind": "queue" if isinstance(one, DeclareQueue) else "exchange",
                "name": one.name,
                "arguments": dict(one.arguments),
            }
            for one in found.create
        ],
        "bind": [
            {
                "source": one.source,
                "destination": one.destination,
                "routing_key": one.routing_key,
                "arguments": dict(one.arguments),
            }
            for one in found.bind
        ],
        "differs": [
            {
                "kind": one.kind,
                "name": one.name,
                "attribute": one.attribute,
                "app": one.ours,
                "broker": one.theirs,
                "suits": one.suits,
            }
            for one in found.differs
        ],
        "unused": [
            {
                "kind": one.kind,
                "name": one.name,
                "why": one.why,
                "messages": one.messages,
                "consumers": one.consumers,
            }
            for one in found.unused
        ],
        "unknown": list(found.unknown),
    }


def print_plan(found: Plan, done: bool = False) -> None:
    """A plan for people.

    Args:
        found: the plan.
        done: say that it was done, not that it would be.
    """
    from rmqwork._topology.topology import DeclareQueue

    for one in found.create:
        kind = "queue" if isinstance(one, DeclareQueue) else "exchange"
        _say("+", kind, one.name, "")
    for bind in found.bind:
        _say("+", "binding", _binding(bind), "")
    for difference in found.differs:
        what = "usable as it is" if difference.suits else "does NOT suit"
        _say("~", difference.kind, difference.name, f"{_sides(difference)}: {what}")
    for spare in found.unused:
        held = f", {spare.messages} messages, {spare.consumers} consumers"
        _say("?", spare.kind, spare.name, spare.why + (held if spare.kind == "queue" else ""))
    for text in found.unknown:
        _say("!", "unknown", text, "")
    print(_summary(found, done))


def _sides(difference: Any) -> str:
    theirs = "absent" if difference.theirs is None else difference.theirs
    ours = "absent" if difference.ours is None else difference.ours
    return f"{difference.attribute} is {theirs}, the app says {ours}"


def _say(sign: str, kind: str, name: str, more: str) -> None:
    print(plain(f"{sign} {kind:<8} {name}" + (f"  ({more})" if more else "")))


def _binding(bind: Bind) -> str:
    what = bind.routing_key or (str(dict(bind.arguments)) if bind.arguments else "")
    return f"{bind.source} -> {bind.destination}" + (f" ({what})" if what else "")


def _summary(found: Plan, done: bool) -> str:
    names = {(one.kind, one.name) for one in found.differs}
    parts: Sequence[str] = (
        f"{len(found.create)} {'made' if done else 'to make'}",
        f"{len(found.bind)} {'bound' if done else 'to bind'}",
        f"{len(names)} differ",
        f"{len(found.unused)} not of this app",
    )
    return ", ".join(parts)
