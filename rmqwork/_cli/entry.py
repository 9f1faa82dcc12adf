"""The command line: one module a verb.

What a verb needs is imported inside it, so that ``rmqwork worker`` starts fast.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

from rmqwork._cli.exit_codes import INTERRUPTED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code.

    Args:
        arguments: default: those of the process.
    """
    if arguments is None and sys.argv[1:2] == ["worker"]:
        _leave_on_sigterm()
        gc.disable()  # what it imports stays: nothing to collect until it works
    try:
        from rmqwork._cli.program import main as run

        return run(arguments)
    except KeyboardInterrupt:  # while it was imported
        return INTERRUPTED


def _leave_on_sigterm() -> None:
    """Until the worker has handlers of its own: it holds nothing yet.

    Without one the kernel does not deliver SIGTERM to PID 1 of a container at all
    (pid_namespaces(7)).
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
