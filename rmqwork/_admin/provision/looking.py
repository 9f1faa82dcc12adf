"""Look at an app's virtual host: by the management API, or by AMQP alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rmqwork._admin.management import ManagementError, find_management
from rmqwork._admin.provision.found import Found, read_found
from rmqwork._admin.provision.planning import Plan, make_plan
from rmqwork._config.addresses import vhost_of
from rmqwork._control.wire import control_declarations
from rmqwork._topology import join_queues
from rmqwork._topology.delays import delay_declarations
from rmqwork._topology.differences import Difference
from rmqwork._topology.topology import Bind, Declaration, DeclareExchange, DeclareQueue
from rmqwork.errors import ConfigurationError, TopologyMismatch

if TYPE_CHECKING:
    from rmqwork._config.settings import Settings
    from rmqwork._tasks.app import App
    from rmqwork._transport.port import Link

HOW_TO_REACH = (
    "enable the plugin rabbitmq_management, give the user the tag 'management', or set "
    "RMQWORK_MANAGEMENT_URL=http://user:password@host:15672"
)


def whole_plan(app: App) -> list[Declaration]:
    """All that an app declares, with delay queues, joins and control streams, in a fit order."""
    plan = app.topology()
    return [*plan, *delay_declarations(plan), *join_queues.plan(), *control_declarations()]


async def look(settings: Settings) -> Found:
    """What the virtual host has.

    Raises:
        ManagementError: the management API does not say.
    """
    return await asyncio.to_thread(_look, settings)


def _look(settings: Settings) -> Found:
    management = find_management(settings.broker[0], settings.management_url)
    return read_found(management, vhost_of(settings.broker))


async def plan_of(settings: Settings, declarations: Sequence[Declaration], link: Link) -> Plan:
    """What ``apply`` would do.

    Without the management API it is what AMQP can tell: what is missing, and what differs as far
    as this user may declare; nothing of bindings and of what is not needed.

    Args:
        settings: of the app.
        declarations: all of it.
        link: a connection, used only if the management API does not answer.
    """
    try:
        return make_plan(declarations, await look(settings))
    except ManagementError as error:
        return await _by_amqp(declarations, link, str(error))


async def _by_amqp(declarations: Sequence[Declaration], link: Link, why: str) -> Plan:
    absent = await link.missing(declarations)
    there = [one for one in declarations if not isinstance(one, Bind) and one not in absent]
    unknown = [
        f"bindings, and what is not needed: the management API does not answer ({why}); "
        f"{HOW_TO_REACH}"
    ]
    differs: list[Difference] = []
    for declaration in there:
        try:
            differs += await link.declare([declaration])
        except TopologyMismatch as error:
            differs += [one for one in error.found if isinstance(one, Difference)]
        except ConfigurationError as error:
            unknown.append(str(error))
            break
    create = [one for one in absent if isinstance(one, (DeclareExchange, DeclareQueue))]
    return Plan(create, (), differs, (), unknown)
