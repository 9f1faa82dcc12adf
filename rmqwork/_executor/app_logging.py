"""Logging in processes that import the app, whose own set-up of it holds."""

from __future__ import annotations

import functools
import logging
from typing import Any, Final

from rmqwork._config import logging as logs

_OURS: Final = "rmqwork"


def configure(log_format: str | None, level: str) -> None:
    """Log as the worker process does, until the app says otherwise.

    ``logging.basicConfig`` does nothing where the root logger has a handler; so ours steps aside
    for the app's first call, whenever it comes: at the import, in the lifespan, or in a task.

    Args:
        log_format: see `rmqwork._config.logging.configure`.
        level: see there; it holds where the app names none.

    Raises:
        ConfigurationError: unknown format or level.
    """
    logs.configure(log_format, level)
    root = logging.getLogger()
    ours = list(root.handlers)
    basic_config = logging.basicConfig

    @functools.wraps(basic_config)
    def basic_config_of_the_app(**options: Any) -> None:
        before = list(root.handlers)
        kept = [handler for handler in before if handler not in ours]
        if all(type(handler).__module__.startswith(f"{_OURS}.") for handler in kept):
            root.handlers[:] = []
        try:
            basic_config(**options)
        except BaseException:
            root.handlers[:] = before
            raise
        if root.handlers != before:
            root.handlers += [handler for handler in kept if handler not in root.handlers]

    logging.basicConfig = basic_config_of_the_app


def enable_ours() -> None:
    """Let our loggers speak again after the app's set-up: ``dictConfig`` and ``fileConfig`` disable
    all loggers that exist and that they do not name."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and f"{name}.".startswith(f"{_OURS}."):
            logger.disabled = False
