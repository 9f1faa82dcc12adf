"""Which app, which queues and which letters a verb is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from rmqwork._cli.applications import connector, default_path
from rmqwork._topology.topology import UNROUTABLE
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._admin.deadletters.reading import Reading
    from rmqwork._admin.deadletters.selection import Selection
    from rmqwork._messages.dead_letter import DeadLetter
    from rmqwork._tasks.app import App

F = TypeVar("F", bound=Callable[..., Any])
_APP: Final = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")

queue_option = click.option(
    "-Q",
    "--queue",
    "queues",
    metavar="NAME",
    multiple=True,
    help="Of this queue only; may be repeated. Also rmqwork.unroutable and NAME.suspects.",
)
_OPTIONS: Final = (
    queue_option,
    click.option("--task", "tasks", metavar="PATTERN", multiple=True, help="Of this task."),
    click.option(
        "--error",
        "errors",
        metavar="PATTERN",
        multiple=True,
        help="With this error's class, with or without its module (ValueError, shop.*).",
    ),
    click.option(
        "--reason",
        "reasons",
        metavar="REASON",
        multiple=True,
        help="Given up for this reason (failed, rejected, invalid-message, expired …).",
    ),
    click.option(
        "--since",
        metavar="TIME",
        help="Failed then or later: 2030-01-31T08:00 (UTC), or how long ago: 90s, 15m, 2h, 3d.",
    ),
    click.option("--until", metavar="TIME", help="Failed before then; likewise."),
    click.option(
        "--match",
        "matches",
        metavar="FIELD=VALUE",
        multiple=True,
        help="With this value in the body; dots lead into it (customer.id=7, items.0.sku=A1).",
    ),
    click.option(
        "--group", "groups", metavar="ID", multiple=True, help="Of this group of dlq list."
    ),
)


def choosing_options(command: F) -> F:
    """The options that say which letters are meant; each narrows, repeated ones widen."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def selection_of(options: dict[str, Any], ids: Sequence[str] = ()) -> Selection:
    """What the options (but ``queues``) and ids of a verb select; they are taken out of the dict.

    Raises:
        ConfigurationError: a time or a match cannot be understood.
    """
    from rmqwork._admin.deadletters.selection import Selection, matching, point_in_time

    now = datetime.now(UTC)
    since, until = options.pop("since"), options.pop("until")
    return Selection(
        ids=frozenset(ids),
        groups=frozenset(options.pop("groups")),
        tasks=options.pop("tasks"),
        errors=options.pop("errors"),
        reasons=frozenset(options.pop("reasons")),
        since=None if since is None else point_in_time(since, now),
        until=None if until is None else point_in_time(until, now),
        match=matching(options.pop("matches")),
    )


def app_and_ids(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The path of the app, if it was given, and the ids after it.

    The first argument is the app if it looks like one, or if nothing else names an app.
    """
    if arguments and (_APP.fullmatch(arguments[0]) or default_path() is None):
        return arguments[0], list(arguments[1:])
    return None, list(arguments)


def chosen(app: App, queues: Sequence[str]) -> list[str]:
    """The queues that are meant: those that were named, or all of the app."""
    if not queues:
        return list(app.queues)
    return list(dict.fromkeys(name for part in queues for name in part.split(",") if name))


def look(
    app: App,
    queues: Sequence[str],
    visit: Callable[[DeadLetter], object],
    selection: Selection | None = None,
) -> list[Reading]:
    """Show the dead letters of the chosen queues to ``visit``.

    Raises:
        ConfigurationError: a queue that was named has no dead-letter queue.
    """
    from rmqwork._admin.deadletters.reading import scan

    names = chosen(app, queues)
    readings = scan(connector(app), names, visit, selection=selection)
    if queues:
        check_there(app, readings)
    return readings


def check_there(app: App, readings: Sequence[Reading]) -> None:
    """Refuse queues that were named and are not there.

    Raises:
        ConfigurationError: see above.
    """
    missing = [reading.dead_letter_queue for reading in readings if not reading.exists]
    if missing:
        what = ", ".join(repr(name) for name in missing)
        known = ", ".join([*app.queues, UNROUTABLE])
        raise ConfigurationError(
            f"there is no queue {what} on the broker; the app has {known} (a worker declares them)"
        )


def left_out(readings: Sequence[Reading]) -> list[str]:
    """What is to be said of queues that were not read to their end."""
    return [
        f"{reading.dead_letter_queue}: {reading.read} of {reading.waiting} were read; "
        "another reader had the rest, run it again"
        for reading in readings
        if reading.read < reading.waiting
    ]
