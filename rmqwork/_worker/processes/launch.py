"""Start a template process; imports next to nothing, for it is loaded before the rest."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple


class Started(NamedTuple):
    """A template process that was just started.

    Args:
        app: what it imports.
        process: it.
        sock: to it.
    """

    app: str
    process: subprocess.Popen[bytes]
    sock: socket.socket


def start_template(app: str, preload: bool, environment: Mapping[str, str] | None) -> Started:
    """Start a template process.

    To be called in the main thread: the kernel kills the template when the *thread* that started
    it ends (prctl(2)).

    Args:
        app: ``module:attribute``.
        preload: whether it imports the app, or each executor does after its fork.
        environment: of it and its executors; None = this process's.
    """
    sock, theirs = socket.socketpair()
    command = [sys.executable, *_interpreter_flags(), "-m", "rmqwork._executor.template"]
    command += [str(theirs.fileno()), app, str(os.getpid())]
    try:
        process = subprocess.Popen(
            command if preload else [*command, "--no-preload"],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C in a terminal reaches the worker alone
            env=environment,
        )
    except BaseException:
        sock.close()
        raise
    finally:
        theirs.close()
    return Started(app, process, sock)


def _interpreter_flags() -> list[str]:
    """The options of this interpreter that its children should have (``-O``, ``-X``, ``-W``)."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags
