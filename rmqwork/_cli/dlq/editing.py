"""``rmqwork dlq edit``: mend the body of a dead letter and replay it."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rmqwork._cli.applications import connector, load
from rmqwork._cli.dlq.asking import agreed, on_terminal
from rmqwork._cli.dlq.choosing import queue_option
from rmqwork._cli.dlq.nothing import NOTHING
from rmqwork._cli.dlq.showing import letters_of
from rmqwork._cli.failing import one_line
from rmqwork._cli.output import as_json_option, note, print_json
from rmqwork.errors import ConfigurationError, InvalidMessage, RmqworkError

if TYPE_CHECKING:
    from rmqwork._messages.dead_letter import DeadLetter
    from rmqwork._tasks.app import App

_EDITOR: Final = "vi"


@click.command("edit")
@click.argument("arguments", nargs=-1, metavar="[APP] ID")
@queue_option
@click.option("--to", metavar="QUEUE", help="To this queue; default: where it failed.")
@as_json_option
def edit_letter(
    arguments: tuple[str, ...], queues: tuple[str, ...], to: str | None, as_json: bool
) -> int:
    """Open a dead letter's body in $VISUAL or $EDITOR, check it against its task, and replay it.

    The dead letter stays until the broker has confirmed the message with the new body. A file that
    is saved as it was, or empty, changes nothing.

    Exit codes: 0 replayed; 1 invalid or refused: the letter stays and the text is kept in a file;
    2 usage; 3 no such letter, or nothing was changed; 4 no broker.
    """
    if not 1 <= len(arguments) <= 2:
        raise ConfigurationError("dlq edit takes [APP] ID; see rmqwork dlq edit --help")
    path, task_id = (None, arguments[0]) if len(arguments) == 1 else arguments
    app = load(path)
    letter = letters_of(app, task_id, queues)[-1]
    file = _file(letter)
    kept = False
    try:
        body = _edited(app, letter, file)
        if body is None:
            note(f"nothing was changed; {task_id} stays a dead letter")
            return NOTHING
        kept = True
        target = _replace(app, letter, body, to)
        kept = False
    except (InvalidMessage, RmqworkError) as error:
        kept = file.exists()
        raise RmqworkError(f"{error}; your text is kept in {file}") from error
    finally:
        if not kept:
            file.unlink(missing_ok=True)
    if as_json:
        print_json({"id": task_id, "replayed": True, "target": target})
    else:
        print(f"{task_id} replayed to {target}, with the new body")
    return 0


def _file(letter: DeadLetter) -> Path:
    from rmqwork._admin.deadletters.editing import text_of

    text = text_of(letter)
    number, name = tempfile.mkstemp(prefix="rmqwork-", suffix=".json")
    with os.fdopen(number, "w", encoding="utf-8", errors="surrogatepass") as out:
        out.write(text)
    return Path(name)


def _edited(app: App, letter: DeadLetter, file: Path) -> bytes | None:
    """The new body, when it is valid; None when nothing was changed.

    Raises:
        InvalidMessage: it is not, and there is nobody to mend it, or who wants to.
    """
    from rmqwork._admin.deadletters.editing import checked

    before = file.read_bytes()
    while True:
        _edit(file)
        after = file.read_bytes()
        if after == before or not after.strip():
            return None
        try:
            return checked(app, letter, after.decode("utf-8", "surrogateescape"))
        except InvalidMessage as error:
            note(one_line(error))
            if not on_terminal() or not agreed("edit again?"):
                raise


def _edit(file: Path) -> None:
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or _EDITOR
    try:
        done = subprocess.run([*shlex.split(command), str(file)], check=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the editor {command!r} does not start: {error}") from error
    if done.returncode:
        raise RmqworkError(f"the editor {command!r} ended with {done.returncode}")


def _replace(app: App, letter: DeadLetter, body: bytes, to: str | None) -> str:
    from rmqwork._admin.deadletters.editing import replace_all

    report = asyncio.run(replace_all(connector(app), letter, body, to, app.seal))
    return next(iter(report.targets))
