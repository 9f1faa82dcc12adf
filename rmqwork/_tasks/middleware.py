"""Middleware: one class of no-op hooks around publish, execution and outcome."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Callable, Iterable
from typing import Any

from rmqwork._tasks.context import Context
from rmqwork.errors import ConfigurationError
from rmqwork.types import Outcome, Publication, TaskControl, TimeLimitReached

_log = logging.getLogger("rmqwork.middleware")


class Middleware:
    """Override what you need; each hook does nothing by itself.

    Hooks of several run in the order of ``App(middleware=[...])``, the ``after_…`` ones in reverse.
    An exception in a hook is logged, and the message goes its way as if the hook were not there.
    They run in the caller's thread, or on its event loop, so they must not block.
    """

    def before_publish(self, publication: Publication) -> Publication:
        """A message is about to be published; return it, or a changed copy
        (``dataclasses.replace``). Runs in the publisher."""
        return publication

    def after_publish(self, publication: Publication) -> None:
        """The broker has confirmed a message. Runs in the publisher."""

    def before_execute(self, ctx: Context[Any], message: object) -> None:
        """A task is about to run; ``message`` is its message, or its arguments by name. Runs in the
        executor. `Reject` and `RetryLater`, raised here, hold as if the task had raised them."""

    def after_execute(self, ctx: Context[Any], outcome: Outcome) -> None:
        """A task has run, and this is what its run came to. Runs in the executor."""


class Hooks:
    """The overridden hooks of an app's middleware, ready to be called."""

    def __init__(self, middleware: Iterable[Middleware]) -> None:
        self.all = tuple(middleware)
        for one in self.all:
            if not isinstance(one, Middleware):
                raise ConfigurationError(
                    f"App(middleware=…): {one!r} is no Middleware; "
                    "pass instances of subclasses of rmqwork.Middleware"
                )
        self.before_publish = self._overridden("before_publish")
        self.after_publish = self._overridden("after_publish")[::-1]
        self.before_execute = self._overridden("before_execute")
        self.after_execute = self._overridden("after_execute")[::-1]

    def _overridden(self, name: str) -> tuple[Callable[..., Any], ...]:
        base = getattr(Middleware, name)
        return tuple(getattr(one, name) for one in self.all if getattr(type(one), name) is not base)

    def publishing(self, publication: Publication) -> Publication:
        """The publication as the hooks want it."""
        for hook in self.before_publish:
            try:
                changed = hook(publication)
            except Exception:
                _broken("before_publish", hook)
                continue
            if isinstance(changed, Publication):
                publication = changed
            else:
                _log.error("%r returned %r instead of a publication", hook, changed)
        return publication

    def published(self, publication: Publication) -> None:
        """Tell the hooks of a confirm."""
        for hook in self.after_publish:
            try:
                hook(publication)
            except Exception:
                _broken("after_publish", hook)

    def executing(self, ctx: Context[Any], message: object) -> None:
        """Tell the hooks that a task is about to run.

        Raises:
            TaskControl: what a hook has raised to steer the message.
        """
        for hook in self.before_execute:
            try:
                hook(ctx, message)
            except (TaskControl, CancelledError, TimeLimitReached):
                raise
            except BaseException:
                _broken("before_execute", hook)

    def executed(self, ctx: Context[Any], outcome: Outcome) -> None:
        """Tell the hooks what a run came to."""
        for hook in self.after_execute:
            try:
                hook(ctx, outcome)
            except (CancelledError, TimeLimitReached):  # from outside, no fault of the hook
                raise
            except BaseException:
                _broken("after_execute", hook)


def _broken(name: str, hook: Callable[..., Any]) -> None:
    owner = getattr(hook, "__self__", hook)
    _log.exception("%s.%s is broken; the message goes on without it", type(owner).__name__, name)
