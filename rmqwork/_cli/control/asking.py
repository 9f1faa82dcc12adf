"""What these verbs share: the app, whom they ask, and how they wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from rmqwork._cli.applications import connector, load, split_app
from rmqwork._cli.checks import COUNT, SECONDS
from rmqwork._cli.output import note

if TYPE_CHECKING:
    from rmqwork._control.wire import Answer, Command
    from rmqwork._tasks.app import App

F = TypeVar("F", bound=Callable[..., Any])
NOBODY: Final = 1
"""Exit code: no worker has answered, or fewer than were expected."""


def asking_options(function: F) -> F:
    """The options of verbs that ask the workers of an app."""
    option = click.option(
        "--all-apps", is_flag=True, help="Ask the workers of all apps of the virtual host."
    )
    return option(waiting_options(function))


def waiting_options(function: F) -> F:
    """The options of verbs that wait for answers."""
    for option in (
        click.option(
            "--workers",
            "expected",
            type=COUNT,
            metavar="N",
            help="End as soon as N have answered; exit code 1 if fewer do.",
        ),
        click.option(
            "--timeout",
            type=SECONDS,
            metavar="SECONDS",
            default=1.0,
            show_default=True,
            help="How long to wait for answers.",
        ),
    ):
        function = option(function)
    return function


def ask(
    app: App, command: Command, timeout: float, expected: int | None = None, one: bool = False
) -> list[Answer]:
    """Say something to workers; returns what they have answered.

    Args:
        app: whose broker.
        command: what is said.
        timeout: seconds.
        expected: answers that suffice; None = wait all the time.
        one: wait for the first good answer only.
    """
    from rmqwork._control.asking import asker

    def enough(answers: Sequence[Answer]) -> bool:
        if one and any(not answer.error for answer in answers):
            return True
        return len(answers) >= (math.inf if expected is None else expected)

    async def run() -> list[Answer]:
        async with asker(connector(app), f"rmqwork {command.do}") as asking:
            return await asking.ask(command, timeout, enough)

    return asyncio.run(run())


def command(
    app: App, do: str, all_apps: bool = False, worker: str | None = None, **what: Any
) -> Command:
    """A command of this user."""
    from rmqwork._control.wire import Command, caller

    return Command(do, what, None if all_apps else app.name, worker, by=caller())


def plain_answers(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Answers as JSON values."""
    return [
        {
            "worker": answer.worker,
            "host": answer.host,
            "pid": answer.pid,
            "app": answer.app,
            "error": answer.error or None,
            **(answer.value if isinstance(answer.value, dict) else {}),
        }
        for answer in answers
    ]


def verdict(answers: Sequence[Answer], expected: int | None, timeout: float) -> int:
    """The exit code; what went wrong is told on stderr."""
    bad = [answer for answer in answers if answer.error]
    for answer in bad:
        note(f"{answer.worker}: {answer.error}")
    if len(answers) < (expected or 1):
        how_many = f"{len(answers)} of {expected} workers" if expected else "no worker"
        note(
            f"{how_many} answered within {timeout:g} s; are they running, on this virtual host, "
            "and of this app (--all-apps)?"
        )
        return NOBODY
    return NOBODY if bad else 0


def memory(size: int | None) -> str:
    """Bytes for people."""
    return "-" if size is None else f"{size / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


__all__ = [
    "NOBODY",
    "ask",
    "asking_options",
    "command",
    "duration",
    "load",
    "memory",
    "plain_answers",
    "split_app",
    "verdict",
    "waiting_options",
]
