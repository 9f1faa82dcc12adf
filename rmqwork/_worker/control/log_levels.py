"""Change the log levels of a worker and its executors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from rmqwork._control.wire import Command, CommandRefused
from rmqwork._worker.processes.executor import Executor

_log = logging.getLogger("rmqwork.worker.control")


class LogLevels:
    """The levels that were set since the start.

    Args:
        executors: those that listen now.
    """

    def __init__(self, executors: Callable[[], Sequence[Executor]]) -> None:
        self._executors = executors
        self._levels: dict[str, int] = {}

    def greet(self, executor: Executor) -> None:
        """Tell a new executor what was said to others."""
        for logger, level in self._levels.items():
            executor.log_level(logger, level)

    def tell(self, command: Command) -> dict[str, Any]:
        """Do what ``log-level`` says.

        Raises:
            Cannot: there is no such level.
        """
        name = str(command.what.get("level", "")).upper()
        logger = str(command.what.get("logger") or "")
        level = logging.getLevelNamesMapping().get(name)
        if level is None:
            raise CommandRefused(f"unknown log level {name!r}; use debug, info, warning or error")
        logging.getLogger(logger or None).setLevel(level)
        self._levels[logger] = level
        for executor in self._executors():
            executor.log_level(logger, level)
        _log.warning("log level of %s is %s, says %s", logger or "all", name, command.by)
        return {"level": name, "logger": logger or None}
