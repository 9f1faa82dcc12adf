"""``rmqwork health``: ask the worker on this machine how it is.

For health checks that run a command, such as those of Docker and Compose.
"""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import Final

import click

_ANSWER_TIMEOUT: Final = 4.0
"""Seconds. Less than the 5 s that the image's health check may take."""
_CHECKS: Final = ("readyz", "livez", "startupz")


@click.command
@click.argument("check", type=click.Choice(_CHECKS), default="readyz")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    envvar="RMQWORK_HEALTH_PORT",
    metavar="PORT",
    help="The worker's health port; default: health_port of the settings.",
)
def health(check: str, port: int | None) -> int:
    """Ask the worker on this machine: readyz (default), livez or startupz.

    Prints the worker's answer. Exit code 0: it is well, or no health port is set, so that there is
    no worker to ask (a producer); 1: it is not well, or does not answer.
    """
    port = port or _configured_port()
    if not port:
        click.echo("no health port is set (--port, RMQWORK_HEALTH_PORT): nothing to ask", err=True)
        return 0
    try:
        status, answer = _get(port, f"/{check}")
    except (OSError, HTTPException) as error:
        click.echo(f"no answer at port {port}: {error}", err=True)
        return 1
    click.echo(answer)
    return 0 if status == 200 else 1


def _configured_port() -> int | None:
    from rmqwork._config.settings import load_settings

    return load_settings().health_port


def _get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=_ANSWER_TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()
