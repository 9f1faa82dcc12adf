"""``rmqwork shutdown``: end a worker as SIGTERM does."""

from __future__ import annotations

import click

from rmqwork._cli.control.asking import (
    ask,
    asking_options,
    command,
    load,
    plain_answers,
    split_app,
    verdict,
)
from rmqwork._cli.output import as_json_option, print_json
from rmqwork._cli.text import plain


@click.command
@click.argument("arguments", nargs=-1, metavar="[APP] NAME")
@asking_options
@as_json_option
def shutdown(
    arguments: tuple[str, ...],
    expected: int | None,
    timeout: float,
    all_apps: bool,
    as_json: bool,
) -> int:
    """Shut workers down by their name (`rmqwork ping` shows them), as SIGTERM does.

    NAME may be a pattern (shop-*). Whoever has started a worker may start it again: Kubernetes
    does; there, scale its deployment.
    """
    path, name = split_app(arguments, "shutdown", "NAME")
    app = load(path)
    answers = ask(app, command(app, "shutdown", all_apps, worker=name), timeout, expected)
    if as_json:
        print_json({"workers": plain_answers(answers)})
    for answer in answers if not as_json else ():
        print(f"{plain(answer.worker)} ({answer.pid}) stops")
    return verdict(answers, expected, timeout)
