"""Importing the user's app, and saying what went wrong if that fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from rmqwork._executor import app_logging
from rmqwork._executor.process_setup import die_with_parent
from rmqwork._tasks import loading
from rmqwork._tasks.evidence import user_traceback
from rmqwork._worker.ipc.wire import Message, Unpacker, pack
from rmqwork.errors import RmqworkError

if TYPE_CHECKING:
    from rmqwork._tasks.app import App


def load_app(path: str) -> App:
    """Import ``module:attribute`` and load its tasks; see `rmqwork._tasks.loading.load_app`.

    Raises:
        AppNotLoaded: whatever was raised; `AppImportError.report` says it all.
    """
    try:
        app = loading.load_app(path)
        app_logging.enable_ours()
        return app
    except loading.AppNotLoaded:
        raise
    except RmqworkError as error:
        raise loading.AppNotLoaded(str(error)) from None
    except BaseException as error:
        raise loading.AppNotLoaded(user_traceback(error)) from None


def manifest_message(app: App) -> Message:
    """``("manifest", …)``, or ``("import-error", …)`` if the app cannot say what it has."""
    try:
        return ("manifest", app.manifest())
    except BaseException as error:
        return ("import-error", user_traceback(error))


def manifest_by_child(path: str) -> Message:
    """The manifest message of an app that this process does not import: a child does, and ends."""
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _tell_manifest(path, writer, parent)
    os.close(writer)
    messages: list[Message] = []
    unpacker = Unpacker()
    while not messages and (data := os.read(reader, 65536)):
        messages = unpacker.feed(data)
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if messages:
        return messages[0]
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return ("import-error", f"the process that imported {path!r} ended by {how}, without a word")


def _tell_manifest(path: str, writer: int, parent: int) -> NoReturn:
    try:
        die_with_parent(9, parent)
        try:
            message = manifest_message(load_app(path))
        except loading.AppNotLoaded as error:
            message = ("import-error", error.report)
        with os.fdopen(writer, "wb") as file:
            file.write(pack([message]))
    finally:
        os._exit(0)
