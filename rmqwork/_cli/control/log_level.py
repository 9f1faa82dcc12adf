"""``rmqwork log-level``: how much workers that run write into their logs."""

from __future__ import annotations

import logging

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
from rmqwork.errors import ConfigurationError


@click.command("log-level")
@click.argument("arguments", nargs=-1, metavar="[APP] LEVEL")
@click.option("--logger", metavar="NAME", help="Of this logger only: rmqwork.worker, shop.tasks.")
@click.option("--worker", "name", metavar="NAME", help="Only workers of this name or pattern.")
@asking_options
@as_json_option
def log_level(
    arguments: tuple[str, ...],
    logger: str | None,
    name: str | None,
    expected: int | None,
    timeout: float,
    all_apps: bool,
    as_json: bool,
) -> int:
    """Set the log level of workers and their executors, until they end: debug, info, warning,
    error."""
    path, level = split_app(arguments, "log-level", "LEVEL")
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigurationError(f"unknown log level {level!r}; use debug, info, warning or error")
    app = load(path)
    said = command(app, "log-level", all_apps, name, level=level, logger=logger)
    answers = ask(app, said, timeout, expected)
    if as_json:
        print_json({"workers": plain_answers(answers)})
    for answer in answers if not as_json else ():
        if not answer.error:
            print(f"{plain(answer.worker)}: {answer.value['level']}")
    return verdict(answers, expected, timeout)
