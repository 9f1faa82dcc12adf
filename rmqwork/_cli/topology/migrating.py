"""``rmqwork topology migrate``: give a queue the properties that the app says."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import click

from rmqwork._cli.applications import connector, load, split_app
from rmqwork._cli.checks import SECONDS
from rmqwork._cli.output import note

if TYPE_CHECKING:
    from rmqwork._admin.provision.migration import Patience
    from rmqwork._tasks.app import App


@click.command
@click.argument("names", nargs=-1, metavar="[APP] QUEUE")
@click.option(
    "--wait",
    type=SECONDS,
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="For workers to finish what they hold; new messages wait as long.",
)
@click.option(
    "--sampled",
    type=SECONDS,
    default=12.0,
    show_default=True,
    metavar="SECONDS",
    help="Until the management API's counts are believed: twice its interval of statistics.",
)
@click.option(
    "--undo", is_flag=True, help="Put the old queue back after a migration that ended early."
)
def migrate(names: tuple[str, ...], wait: float, sampled: float, undo: bool) -> None:
    """Give QUEUE the properties that the app says, without stopping workers or publishers.

    Its messages wait in QUEUE.migrating while it is deleted and made anew; nothing is lost, some
    may run twice, and their order changes. After a kill, run it again: it goes on where it was.
    One at a time.

    \b
    Exit codes:
      0  the queue is as the app says
      1  not done: workers did not finish in time, or the connection was lost
      2  bad configuration
      4  no broker

    \b
    Example:
      rmqwork topology migrate shop.app:app low_priority
    """
    from rmqwork._admin.provision.migration import Patience

    path, queue = split_app(names, "topology migrate", "QUEUE")
    asyncio.run(_migrate(load(path), queue, Patience(wait, sampled), undo))


async def _migrate(app: App, queue: str, patience: Patience, undo: bool) -> None:
    from rmqwork._admin.management import ManagementError, find_management
    from rmqwork._admin.provision.looking import HOW_TO_REACH, whole_plan
    from rmqwork._admin.provision.migration import Migration
    from rmqwork._config.addresses import vhost_of
    from rmqwork.errors import ConfigurationError

    if queue not in app.queues:
        known = ", ".join(app.queues)
        raise ConfigurationError(f"app {app.name!r} has no queue {queue!r}; it has {known}")
    if app.queues[queue].partitions is not None:
        raise ConfigurationError(
            f"queue {queue!r} has partitions, and messages moved meanwhile would lose their order; "
            "give it another name, and drain the old one with workers of the old version"
        )
    settings = app.settings
    async with contextlib.AsyncExitStack() as stack:
        taking = await connector(app).open("rmqwork topology migrate (takes)")
        stack.push_async_callback(taking.close)
        giving = await connector(app).open("rmqwork topology migrate (gives)")
        stack.push_async_callback(giving.close)
        try:
            management = await asyncio.to_thread(
                find_management, settings.broker[0], settings.management_url
            )
        except ManagementError as error:
            raise ConfigurationError(
                f"a migration needs the management API: {error}; {HOW_TO_REACH}"
            ) from None
        migration = Migration(
            queue,
            whole_plan(app),
            management,
            vhost_of(settings.broker),
            taking,
            giving,
            note,
            patience,
        )
        await (migration.undo() if undo else migration.run())
