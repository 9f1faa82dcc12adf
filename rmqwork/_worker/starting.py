"""The beginning of a worker: the template first, then all the rest.

The template takes longest, for it imports pydantic and the app. So it is started before this
process imports asyncio, the AMQP client and what settles deliveries; and this module next to
nothing.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from rmqwork._worker.model.options import WorkerOptions

LOG_FORMAT_VARIABLE: Final = "RMQWORK_LOG_FORMAT"
LOG_LEVEL_VARIABLE: Final = "RMQWORK_LOG_LEVEL"


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


def run_worker(options: WorkerOptions) -> int:
    """Run a worker until a signal ends it. To be called in the main thread.

    Args:
        options: see `WorkerOptions`.

    Returns:
        the exit code: 0 all finished; 3 some tasks handed back unfinished, or an outcome could not
        be settled.

    Raises:
        ConfigurationError: the app, an option or the topology is wrong (exit code 2).
        BrokerUnavailable: no broker within ``broker_wait`` (exit code 4).
    """
    environment = dict(os.environ)
    environment[LOG_FORMAT_VARIABLE] = options.log_format or "auto"
    environment[LOG_LEVEL_VARIABLE] = options.log_level

    def start() -> Started:
        return start_template(options.app, options.preload, environment)

    first = start()
    from rmqwork._worker.run import run

    return run(options, first, start)


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
    finally:
        theirs.close()
    return Started(app, process, sock)


def _interpreter_flags() -> list[str]:
    """The options of this interpreter that its children should have (``-O``, ``-X``, ``-W``)."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags
