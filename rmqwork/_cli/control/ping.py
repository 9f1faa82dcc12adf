"""``rmqwork ping``: which workers answer, and how fast."""

from __future__ import annotations

import time

import click

from rmqwork._cli.applications import app_argument
from rmqwork._cli.control.asking import (
    ask,
    asking_options,
    command,
    load,
    plain_answers,
    verdict,
)
from rmqwork._cli.output import Column, as_json_option, console, print_json, table


@click.command
@app_argument
@asking_options
@as_json_option
def ping(
    app: str | None, expected: int | None, timeout: float, all_apps: bool, as_json: bool
) -> int:
    """See which workers answer. Exit code 1 if none does."""
    found = load(app)
    began = time.monotonic()
    answers = ask(found, command(found, "ping", all_apps), timeout, expected)
    if as_json:
        took = round(time.monotonic() - began, 3)
        print_json({"workers": plain_answers(answers), "took_s": took})
    else:
        columns = [Column(name, whole=True) for name in ("worker", "host", "pid", "app")]
        rows = [(one.worker, one.host, one.pid, one.app) for one in answers]
        console().print(table(columns, rows))
    return verdict(answers, expected, timeout)
