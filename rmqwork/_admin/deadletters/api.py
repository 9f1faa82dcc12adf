"""`DeadLetters`: what can be done with an app's dead letters, for code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from rmqwork._admin.deadletters.groups import Group, Groups
from rmqwork._admin.deadletters.importing import Imported, import_all
from rmqwork._admin.deadletters.purging import purge_all
from rmqwork._admin.deadletters.reading import aread, ascan
from rmqwork._admin.deadletters.records import from_line, to_line
from rmqwork._admin.deadletters.replaying import Progress, Replayed, ReplaySpec, replay_all
from rmqwork._admin.deadletters.selection import Selection
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._transport.port import Connector
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._tasks.app import App

T = TypeVar("T")
_ALL = Selection()


class ReplayOptions(TypedDict, total=False):
    """How letters are replayed.

    Args:
        to: the queue; default: each where it failed.
        rate: at most so many a second; default: as fast as it goes.
        limit: at most so many; default: all.
        window: unconfirmed publications at once, default 1. If the process is killed, at most so
            many messages come twice.
        dry_run: only say what would be done.
        progress: told how many are done, and how many are to be.
    """

    to: str | None
    rate: float | None
    limit: int | None
    window: int
    dry_run: bool
    progress: Progress | None


class DeadLetters:
    """The dead letters of some queues.

    Reading removes nothing and keeps the order. Replaying publishes a message, waits until the
    broker has confirmed it, and only then removes its dead letter.

    Args:
        connector: of the broker.
        queues: names of the queues (``orders``, or ``orders.dlq``); ``rmqwork.unroutable`` and
            ``orders.suspects`` are read themselves.
    """

    def __init__(self, connector: Connector, queues: Sequence[str]) -> None:
        self.connector = connector
        self.queues = tuple(queues)

    @classmethod
    def of(cls, app: App, *queues: str) -> DeadLetters:
        """Those of an app.

        Args:
            app: the app; its broker is used.
            *queues: only of these; default: of all the app's.
        """
        from rmqwork._transport.connecting import connect

        connector = connect(app.settings.broker, app.settings.heartbeat)
        return cls(connector, queues or tuple(app.queues))

    def groups(self, selection: Selection = _ALL) -> list[Group]:
        """What failed in the same way, the largest group first; copies count once.

        Raises:
            BrokerUnavailable: no connection, or it was lost meanwhile.
            ConfigurationError: a queue cannot be read.
        """
        return _wait(self.agroups(selection), "groups")

    async def agroups(self, selection: Selection = _ALL) -> list[Group]:
        """`groups`, for asyncio."""
        groups = Groups()
        await ascan(self.connector, self.queues, groups.add, None, selection)
        return groups.largest_first()

    def read(self, selection: Selection = _ALL, limit: int | None = None) -> list[DeadLetter]:
        """The letters themselves, copies among them, all in memory at once.

        Args:
            selection: which.
            limit: at most so many of each queue; None = all.

        Raises:
            BrokerUnavailable, ConfigurationError: as `groups`.
        """
        return _wait(self.aread(selection, limit), "read")

    async def aread(
        self, selection: Selection = _ALL, limit: int | None = None
    ) -> list[DeadLetter]:
        """`read`, for asyncio."""
        return await aread(self.connector, self.queues, limit, selection)

    def replay(self, selection: Selection = _ALL, **options: Unpack[ReplayOptions]) -> Replayed:
        """Publish letters again, to the queue that they failed in, and remove them.

        The id, body and properties stay, and the workflow; attempts count anew;
        ``rmqwork-replay`` counts replays. Copies go once. What fails again meanwhile is left.

        Args:
            selection: which letters; default: all.
            **options: see `ReplayOptions`.

        Returns:
            what came of it; a letter that no queue takes stays, and is among ``refused``.

        Raises:
            ConfigurationError: an option is wrong, or a queue cannot be read.
            BrokerUnavailable, BrokerBlocked, PublishTimeout: the rest stays; call it again.
        """
        return _wait(self.areplay(selection, **options), "replay")

    async def areplay(
        self, selection: Selection = _ALL, **options: Unpack[ReplayOptions]
    ) -> Replayed:
        """`replay`, for asyncio."""
        report = Replayed()
        order = ReplaySpec(
            to=options.get("to"),
            rate=options.get("rate"),
            limit=options.get("limit"),
            window=options.get("window", 1),
            dry_run=options.get("dry_run", False),
        )
        progress = options.get("progress")
        await replay_all(self.connector, self.queues, selection.takes, order, report, progress)
        return report

    def purge(self, selection: Selection) -> int:
        """Remove letters for good; returns how many messages that were, copies included.

        Raises:
            BrokerUnavailable: the connection was lost; some may have been removed.
            ConfigurationError: a queue cannot be read.
        """
        return _wait(self.apurge(selection), "purge")

    async def apurge(self, selection: Selection) -> int:
        """`purge`, for asyncio."""
        return await purge_all(self.connector, self.queues, selection)

    def export(self, selection: Selection = _ALL) -> list[str]:
        """Letters as lines of JSON, for `load` and for other programs; removes nothing.

        Raises:
            BrokerUnavailable, ConfigurationError: as `groups`.
        """
        return _wait(self.aexport(selection), "export")

    async def aexport(self, selection: Selection = _ALL) -> list[str]:
        """`export`, for asyncio."""
        lines: list[str] = []
        await ascan(
            self.connector,
            self.queues,
            lambda letter: lines.append(to_line(letter)),
            None,
            selection,
        )
        return lines

    def load(self, lines: Iterable[str], to: str | None = None) -> Imported:
        """Put exported letters back into their dead-letter queues; those that are there are left.

        Args:
            lines: from `export`.
            to: the queue as whose dead letters they go; None = as they were.

        Raises:
            ConfigurationError: a line is no dead letter.
            RmqworkError: a dead-letter queue does not exist.
            BrokerUnavailable, BrokerBlocked, PublishTimeout: call it again.
        """
        return _wait(self.aload(lines, to), "load")

    async def aload(self, lines: Iterable[str], to: str | None = None) -> Imported:
        """`load`, for asyncio."""
        return await import_all(self.connector, [from_line(line) for line in lines], to)


def _wait(work: Coroutine[Any, Any, T], verb: str) -> T:
    """Run a verb to its end, where no event loop runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise ConfigurationError(
        f"DeadLetters.{verb}() waits for the broker and an event loop runs here; use "
        f"`await DeadLetters.a{verb}()`"
    )
