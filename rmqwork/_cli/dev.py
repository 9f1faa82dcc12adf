"""``rmqwork dev``: a worker that starts again, in good order, when the code changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import click

from rmqwork._cli.output import note
from rmqwork.errors import ConfigurationError

_STEP_MS: Final = 200
_INTERRUPTED: Final = (signal.SIGINT, signal.SIGTERM)


@click.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="[--watch PATH]... [OPTIONS OF WORKER] [APP]",
)
@click.option(
    "--watch",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="A directory or file to watch; may be repeated. Default: this directory.",
)
@click.pass_context
def dev(context: click.Context, watch: tuple[Path, ...]) -> int:
    """Run a worker that restarts when a Python file changes. For development.

    Takes APP and all options of rmqwork worker, and hands them on. The worker is stopped by SIGTERM
    and may finish what runs (--grace) before the next one starts. Needs watchfiles:
    pip install 'rmqwork[dev]'
    """
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "rmqwork dev watches files with watchfiles: pip install 'rmqwork[dev]'"
        ) from None
    arguments = list(context.args)
    _check(arguments)
    return _Reloader(arguments, watch or (Path.cwd(),)).run()


def _check(arguments: list[str]) -> None:
    """Let the worker's own parser find what is wrong, before anything starts."""
    from rmqwork._cli.applications import app_path
    from rmqwork._cli.worker import worker
    from rmqwork._worker.model.options import parse_queues

    with worker.make_context("rmqwork dev", list(arguments)) as parsed:
        app_path(parsed.params.get("app"))
        if parsed.params.get("queues") is not None:
            parse_queues(parsed.params["queues"])


class _Reloader:
    """One worker process at a time.

    Args:
        arguments: of ``rmqwork worker``.
        paths: what is watched.
    """

    def __init__(self, arguments: list[str], paths: Iterable[Path]) -> None:
        self._arguments = arguments
        self._paths = [str(path) for path in paths]
        self._stop = threading.Event()
        self._worker: subprocess.Popen[bytes] | None = None
        self._missed: int | None = None
        """A signal that came while there was no worker, or while one was being started."""

    def run(self) -> int:
        """Until SIGINT or SIGTERM; returns the last worker's exit code."""
        from watchfiles import PythonFilter, watch

        for number in _INTERRUPTED:
            signal.signal(number, self._on_signal)
        self._start()
        for changes in watch(
            *self._paths,
            watch_filter=PythonFilter(extra_extensions=(".toml",)),
            stop_event=self._stop,
            step=_STEP_MS,
            yield_on_timeout=True,
            rust_timeout=1000,
            raise_interrupt=False,
        ):
            if changes:
                names = sorted(os.path.relpath(path) for _, path in changes)
                note(f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} changed")
                self._end()
                if not self._stop.is_set():
                    self._start()
            else:
                self._notice_end()
        return self._end()

    def _on_signal(self, number: int, _frame: object) -> None:
        """Hand it on; a second one makes the worker stop at once."""
        self._stop.set()
        if self._worker is not None:
            self._worker.send_signal(number)
        else:
            self._missed = number

    def _start(self) -> None:
        from rmqwork._executor.process_setup import die_with_parent

        # A process group of its own: Ctrl-C in a terminal comes here alone, and is handed on once.
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "rmqwork", "worker", *self._arguments],
            process_group=0,
            preexec_fn=partial(die_with_parent, signal.SIGTERM, os.getpid()),
        )
        if self._missed is not None:  # else it would be waited for, and never told
            self._worker.send_signal(self._missed)

    def _notice_end(self) -> None:
        if self._worker is not None and self._worker.poll() is not None:
            code = self._worker.returncode
            note(f"the worker ended with exit code {code}; waiting for a change")
            self._worker = None

    def _end(self) -> int:
        """Let the worker finish; returns its exit code."""
        worker = self._worker
        if worker is None:
            return 0
        if worker.poll() is None and not self._stop.is_set():
            worker.terminate()
        code = worker.wait()
        self._worker = None
        return code
