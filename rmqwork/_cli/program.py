"""The program: its verbs, and the one place where errors end."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, Final

import click

from rmqwork._cli.exit_codes import BROKEN_PIPE, INTERRUPTED
from rmqwork._cli.failing import report

NAME: Final = "rmqwork"
_VERBS: Final = {
    "worker": "rmqwork._cli.worker:worker",
    "publish": "rmqwork._cli.publish:publish",
    "tasks": "rmqwork._cli.tasks:tasks",
    "queues": "rmqwork._cli.queues:queues",
    "dlq": "rmqwork._cli.dlq.group:group",
    "deploy": "rmqwork._cli.deploy.group:group",
    "topology": "rmqwork._cli.topology.group:group",
    "doctor": "rmqwork._cli.doctor:doctor",
    "health": "rmqwork._cli.health:health",
    "inspect": "rmqwork._cli.control.inspect:inspect",
    "ping": "rmqwork._cli.control.ping:ping",
    "pause": "rmqwork._cli.control.pausing:pause",
    "resume": "rmqwork._cli.control.pausing:resume",
    "revoke": "rmqwork._cli.control.revoke:revoke",
    "scale": "rmqwork._cli.control.scale:scale",
    "log-level": "rmqwork._cli.control.log_level:log_level",
    "shutdown": "rmqwork._cli.control.shutdown:shutdown",
    "demo": "rmqwork._cli.demo.command:demo",
    "dev": "rmqwork._cli.dev:dev",
    "bench": "rmqwork._cli.bench.command:bench",
    "completion": "rmqwork._cli.completion:completion",
}


class _Unread(Exception):
    """Who read our output has left. (click turns a BrokenPipeError into exit code 1.)"""


class Verbs(click.Group):
    """A group whose commands are imported when they are asked for.

    Args:
        verbs: ``module:attribute`` of each command, by its name.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in self._verbs:
            return None
        module, _, attribute = self._verbs[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise _Unread from error
        return value


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from rmqwork._version import __version__

        click.echo(f"{NAME} {__version__}")
        ctx.exit()


@click.group(
    cls=Verbs,
    verbs=_VERBS,
    epilog=(
        "APP is module:attribute (shop.app:app), the first argument of a verb; or RMQWORK_APP, or "
        "app in [tool.rmqwork] of pyproject.toml."
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Traceback with an error (at any place)."
)
def program() -> None:
    """Typed background tasks on RabbitMQ that are never silently lost."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code.

    Args:
        arguments: default: those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = _take_debug(given)
    _print_anything()
    try:
        code = program.main(given, prog_name=NAME, standalone_mode=False)
    except _Unread:
        _close_stdout()
        return BROKEN_PIPE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:
        return report(error, debug)
    return code if isinstance(code, int) else 0


def _take_debug(arguments: list[str]) -> bool:
    """Whether ``--debug`` is among the options; it is taken out, wherever it stands."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    found = "--debug" in arguments[:end]
    arguments[:end] = [argument for argument in arguments[:end] if argument != "--debug"]
    return found


def _print_anything() -> None:
    """A terminal or locale that lacks a character gets an escape for it, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    """Who read our output has left; let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
