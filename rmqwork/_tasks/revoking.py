"""Revoke tasks: the publisher's side of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rmqwork._control.wire import MAX_IDS, Command, caller, control_declarations
from rmqwork._publisher import await_future
from rmqwork.errors import ConfigurationError, PublishError, Unroutable
from rmqwork.types import Publication

if TYPE_CHECKING:
    from rmqwork._config.settings import Settings
    from rmqwork._results.result import AsyncResult
    from rmqwork._transport.port import PublishPort

_MARGIN = 10.0


def revocations(
    ids: str | AsyncResult[object] | Iterable[str | AsyncResult[object]],
    workflows: str | Iterable[str],
    terminate: bool,
    undo: bool,
) -> list[Publication]:
    """The commands that revoke these, or take that back.

    Raises:
        ConfigurationError: nothing is named, or something that is no id.
    """
    tasks, flows = _ids(ids), _ids(workflows)
    if not tasks and not flows:
        raise ConfigurationError("revoke: name at least one task's id, or a workflow's")
    by = caller()
    how = {"undo": True} if undo else {"terminate": terminate}
    commands = [
        Command("revoke", {name: some[at : at + MAX_IDS], **how}, by=by)
        for name, some in (("ids", tasks), ("workflows", flows))
        for at in range(0, len(some), MAX_IDS)
    ]
    return [command.publication() for command in commands]


def _ids(given: object) -> list[str]:
    items = [given] if isinstance(given, str) or hasattr(given, "id") else given
    if not isinstance(items, Iterable):
        raise ConfigurationError(f"revoke takes ids of tasks, not {given!r}")
    ids: list[str] = []
    for item in items:
        one = getattr(item, "id", item)
        if not isinstance(one, str) or not one:
            raise ConfigurationError(f"revoke takes ids of tasks, not {one!r}")
        ids.append(one)
    return ids


def publish(
    port: PublishPort, publications: Sequence[Publication], app: str, settings: Settings
) -> None:
    """Publish commands and wait for their confirms.

    Args:
        port: where they are published.
        publications: the commands.
        app: the app's name.
        settings: of the app.

    Raises:
        PublishError: one is not confirmed.
        ConfigurationError: this user may not make the control streams, and they are not there.
    """
    timeout = settings.publish_timeout
    for last in (False, True):
        results = port.submit(publications, timeout).result(timeout + _MARGIN)
        if not _again(results, last):
            return
        asyncio.run(_declare(app, settings))


async def apublish(
    port: PublishPort, publications: Sequence[Publication], app: str, settings: Settings
) -> None:
    """`publish` for asyncio."""
    timeout = settings.publish_timeout
    for last in (False, True):
        future = port.submit(publications, timeout)
        if not _again(await await_future.wait(future, timeout + _MARGIN), last):
            return
        await _declare(app, settings)


def _again(results: list[PublishError | None], last: bool) -> bool:
    """Whether the streams have to be made first: no worker has been there yet."""
    for error in results:
        if error is not None:
            if isinstance(error, Unroutable) and not last:
                return True
            raise error
    return False


async def _declare(app: str, settings: Settings) -> None:
    from rmqwork._transport.connecting import connect

    link = await connect(settings.broker, settings.heartbeat).open(f"{app} (control)")
    try:
        await link.declare(control_declarations())
    finally:
        await link.close()
