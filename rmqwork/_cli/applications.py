"""Which app a verb is about: its argument, RMQWORK_APP, or ``app`` in ``[tool.rmqwork]``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from rmqwork._tasks.loading import split_path
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from rmqwork._tasks.app import App
    from rmqwork._transport.port import Connector

app_argument = click.argument("app", required=False, metavar="[APP]")
"""The decorator of verbs that take nothing but APP."""
_FILES: Final = ("rmqwork.toml", "pyproject.toml")


def app_path(given: str | None) -> str:
    """The path of the app that is meant.

    A file in a directory above the working directory counts for this process and its children as if
    they ran there: its settings are used and its directory is searched for modules.

    Raises:
        ConfigurationError: nothing says which, or what says it is no path of an app.
    """
    path = given or default_path()
    if path is None:
        raise ConfigurationError(
            "which app? Give APP as the first argument (rmqwork worker shop.app:app), or set "
            'RMQWORK_APP=shop.app:app, or write app = "shop.app:app" under [tool.rmqwork] in '
            "pyproject.toml"
        )
    split_path(path)
    return path


def default_path() -> str | None:
    """What RMQWORK_APP or a file says; None = nothing."""
    from pathlib import Path

    from rmqwork._config.settings import load_settings

    found = load_settings().app
    if found is not None or "RMQWORK_CONFIG" in os.environ:
        return found
    for directory in Path.cwd().parents:
        for name in _FILES:
            if not (directory / name).is_file():
                continue
            found = load_settings(directory=directory).app
            if found is not None:
                _work_from(directory / name)
                return found
    return None


def _work_from(file: Path) -> None:
    os.environ["RMQWORK_CONFIG"] = str(file)
    directory = str(file.parent)
    paths = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([directory, paths] if paths else [directory])
    if directory not in sys.path:
        sys.path.insert(0, directory)


def split_app(arguments: Sequence[str], verb: str, what: str) -> tuple[str | None, str]:
    """APP, if it is given, and the one thing that a verb is about.

    Raises:
        ConfigurationError: too few or too many arguments.
    """
    if len(arguments) == 1:
        if default_path() is None:
            raise ConfigurationError(
                f"{verb} takes APP {what} where nothing else names APP (RMQWORK_APP), not "
                f"{arguments[0]!r} alone"
            )
        return None, arguments[0]
    if len(arguments) != 2:
        raise ConfigurationError(f"{verb} takes [APP] {what}; see rmqwork {verb} --help")
    return arguments[0], arguments[1]


def load(given: str | None) -> App:
    """Import the app that is meant.

    Raises:
        ConfigurationError: see `app_path` and `rmqwork._tasks.loading.load_app`.
    """
    from rmqwork._tasks.loading import load_app

    return load_app(app_path(given))


def connector(app: App) -> Connector:
    """Where connections to the app's broker come from."""
    from rmqwork._transport.connecting import connect

    if any(url.startswith("memory:") for url in app.settings.broker):
        raise ConfigurationError(
            f"App {app.name!r} has the broker memory://, which lives and ends with one process; "
            "set RMQWORK_BROKER=amqp://…"
        )
    return connect(app.settings.broker, app.settings.heartbeat)
