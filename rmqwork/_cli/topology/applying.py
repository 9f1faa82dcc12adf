"""``rmqwork topology apply``: make what is missing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from rmqwork._cli.applications import app_argument, connector, load
from rmqwork._cli.output import as_json_option, print_json
from rmqwork._cli.topology.planning import DIFFERS, as_values, print_plan

if TYPE_CHECKING:
    from rmqwork._admin.provision.planning import Plan
    from rmqwork._tasks.app import App


@click.command
@app_argument
@as_json_option
def apply(app: str | None, as_json: bool) -> int:
    """Make the exchanges, queues and bindings that are missing. Again: nothing happens.

    What exists with other properties is left alone, and nothing is ever deleted.

    \b
    Exit codes:
      0  all is as the app says
      2  bad configuration, or this user may not declare
      4  no broker
      6  something exists with other properties: see `migrate`
    """
    found = asyncio.run(_apply(load(app)))
    if as_json:
        print_json(as_values(found))
    else:
        print_plan(found, done=True)
    return DIFFERS if found.differs else 0


async def _apply(app: App) -> Plan:
    from rmqwork._admin.provision.looking import plan_of, whole_plan
    from rmqwork._config.addresses import DECLARE, without_option
    from rmqwork._transport.connecting import connect

    plan = whole_plan(app)
    connector(app)  # refuses memory://
    # Workers and publishers may be told not to declare: this is who does it for them.
    urls = [without_option(url, DECLARE) for url in app.settings.broker]
    link = await connect(urls, app.settings.heartbeat).open("rmqwork topology apply")
    try:
        found = await plan_of(app.settings, plan, link)
        # What differs is in the plan's report already; declaring it would only raise.
        known = {(one.kind, one.name) for one in found.differs}
        await link.declare([one for one in plan if _key(one) not in known])
        return found
    finally:
        await link.close()


def _key(declaration: object) -> tuple[str, str] | None:
    from rmqwork._topology.topology import DeclareExchange, DeclareQueue

    match declaration:
        case DeclareQueue(name):
            return ("queue", name)
        case DeclareExchange(name):
            return ("exchange", name)
    return None
