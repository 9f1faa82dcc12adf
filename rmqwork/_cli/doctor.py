"""``rmqwork doctor``: what is wrong, and what to do."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from rmqwork._cli.applications import app_argument, connector, load
from rmqwork._cli.output import as_json_option, print_json
from rmqwork._cli.text import plain

if TYPE_CHECKING:
    from rmqwork._admin.doctor.facts import Facts
    from rmqwork._tasks.app import App

_WARNINGS: Final = 5
_ERRORS: Final = 6


@click.command
@app_argument
@as_json_option
def doctor(app: str | None, as_json: bool) -> int:
    """Look for what is wrong with the broker, the way to it, and the app's settings.

    Each finding says what to do. Changes nothing. What cannot be looked at is told, not passed
    over.

    \b
    Exit codes:
      0  nothing found
      2  bad configuration
      4  no broker
      5  warnings
      6  errors: messages are lost, refused or not run
    """
    from rmqwork._admin.doctor.checks import examine

    facts = asyncio.run(_facts(load(app)))
    found = examine(facts)
    if as_json:
        print_json(
            {
                "broker": str(facts.server),
                "findings": [asdict(one) for one in found],
                "unknown": list(facts.unknown),
            }
        )
    else:
        for one in found:
            print(plain(f"{one.severity}: {one.check}: {one.subject}: {one.text}"))
            print(plain(f"  fix: {one.fix}"))
        for text in facts.unknown:
            print(plain(f"not checked: {text}"))
        if not found:
            print(plain(f"nothing found; {facts.server}"))
    if any(one.severity == "error" for one in found):
        return _ERRORS
    return _WARNINGS if found else 0


async def _facts(app: App) -> Facts:
    from rmqwork._admin.doctor.gather import gather

    link = await connector(app).open("rmqwork doctor")
    try:
        return await gather(app, link)
    finally:
        await link.close()
