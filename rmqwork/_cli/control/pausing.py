"""``rmqwork pause`` and ``rmqwork resume``: whether workers take from a queue."""

from __future__ import annotations

import click

from rmqwork._cli.control.asking import (
    ask,
    command,
    load,
    plain_answers,
    split_app,
    waiting_options,
)
from rmqwork._cli.output import as_json_option, print_json
from rmqwork._cli.text import counted, plain
from rmqwork.errors import ConfigurationError


@click.command
@click.argument("arguments", nargs=-1, metavar="[APP] QUEUE")
@waiting_options
@as_json_option
def pause(
    arguments: tuple[str, ...],
    expected: int | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Have all workers take nothing more from a queue, until `rmqwork resume`.

    Workers of all apps: a queue belongs to the virtual host. It holds for those that start later,
    and across restarts of the broker. What runs ends, what has not started goes back to the queue,
    and publishing goes on.
    """
    return _tell("pause", arguments, expected, timeout, as_json)


@click.command
@click.argument("arguments", nargs=-1, metavar="[APP] QUEUE")
@waiting_options
@as_json_option
def resume(
    arguments: tuple[str, ...],
    expected: int | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Have workers take from a paused queue again."""
    return _tell("resume", arguments, expected, timeout, as_json)


def _tell(
    verb: str, arguments: tuple[str, ...], expected: int | None, timeout: float, as_json: bool
) -> int:
    path, queue = split_app(arguments, verb, "QUEUE")
    app = load(path)
    if queue not in app.queues:
        raise ConfigurationError(
            f"app {app.name!r} has no queue {queue!r}; its queues are: {', '.join(app.queues)}"
        )
    # To the workers of all apps: a queue belongs to the virtual host.
    said = command(app, verb, all_apps=True, queue=queue)
    answers = ask(app, said, timeout, expected)
    if as_json:
        print_json({"queue": queue, "paused": verb == "pause", "workers": plain_answers(answers)})
    else:
        word = "paused" if verb == "pause" else "resumed"
        print(f"{plain(queue)} is {word}; {counted(len(answers), 'worker')} answered")
    return 1 if expected is not None and len(answers) < expected else 0
