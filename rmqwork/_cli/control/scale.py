"""``rmqwork scale``: other numbers of processes and tasks for workers that run."""

from __future__ import annotations

from typing import Any

import click

from rmqwork._cli.applications import app_argument
from rmqwork._cli.checks import COUNT
from rmqwork._cli.control.asking import (
    ask,
    asking_options,
    command,
    load,
    plain_answers,
    verdict,
)
from rmqwork._cli.output import as_json_option, print_json
from rmqwork._cli.text import plain
from rmqwork.errors import ConfigurationError


@click.command
@app_argument
@click.option("-p", "--processes", type=COUNT, metavar="N", help="Executor processes.")
@click.option(
    "-c", "--concurrency", type=COUNT, metavar="N", help="Tasks in threads at once, in each."
)
@click.option("--async-concurrency", type=COUNT, metavar="N", help="Async tasks at once, in each.")
@click.option("--worker", "name", metavar="NAME", help="Only workers of this name or pattern.")
@asking_options
@as_json_option
def scale(
    app: str | None,
    name: str | None,
    expected: int | None,
    timeout: float,
    all_apps: bool,
    as_json: bool,
    **numbers: Any,
) -> int:
    """Change how much workers do at once, until they end. Executors are replaced between tasks."""
    wanted = {key: value for key, value in numbers.items() if value is not None}
    if not wanted:
        raise ConfigurationError("scale: give -p, -c or --async-concurrency; see --help")
    found = load(app)
    answers = ask(found, command(found, "scale", all_apps, name, **wanted), timeout, expected)
    if as_json:
        print_json({"workers": plain_answers(answers)})
    for answer in answers if not as_json else ():
        if not answer.error:
            lanes = ", ".join(f"{n} {lane}" for lane, n in answer.value["slots"].items() if n)
            print(f"{plain(answer.worker)}: {answer.value['processes']} processes, {lanes} tasks")
    return verdict(answers, expected, timeout)
