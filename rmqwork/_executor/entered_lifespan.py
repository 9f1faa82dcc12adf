"""`EnteredLifespan`: the app's lifespan in one executor, and the context that it leaves to runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Context, copy_context

from rmqwork._executor.loop_runner import LoopRunner


class EnteredLifespan:
    """The app's lifespan in this executor: a sync or an async context manager, or none.

    A sync one is entered and left in the calling thread; an async one in one task of the event
    loop, for cancel scopes and context variables belong to the task that has entered them.

    Args:
        manager: from ``app.lifespan``.
        loops: where an async one runs.
        on_early_end: called in the loop when an async one has ended before it was told to, with
            what it raised.
    """

    def __init__(
        self,
        manager: AbstractContextManager[object] | AbstractAsyncContextManager[object] | None,
        loops: LoopRunner,
        on_early_end: Callable[[BaseException | None], object],
    ) -> None:
        self._manager = manager
        self._loops = loops
        self._on_early_end = on_early_end
        self._task: _LifespanTask | None = None
        self.context = Context()
        """The context variables as the lifespan left them: every run begins with these."""

    def enter(self) -> object:
        """Begin; returns the state for ``ctx.state``."""
        match self._manager:
            case None:
                state = None
            case AbstractContextManager() as manager:
                state = manager.__enter__()
            case manager:
                self._task = _LifespanTask(manager, self._on_early_end)
                state, self.context = self._loops.run(self._task.enter())
                return state
        self.context = copy_context()
        return state

    def leave(self) -> None:
        """End."""
        if self._task is not None:
            self._loops.run(self._task.leave())
        elif isinstance(self._manager, AbstractContextManager):
            self._manager.__exit__(None, None, None)


class _LifespanTask:
    """The asyncio task that enters and leaves an async context manager."""

    def __init__(
        self,
        manager: AbstractAsyncContextManager[object],
        on_early_end: Callable[[BaseException | None], object],
    ) -> None:
        self._manager = manager
        self._on_early_end = on_early_end
        self._error: BaseException | None = None
        self._leaving = asyncio.Event()
        self._entered: asyncio.Future[tuple[object, Context]]
        self._task: asyncio.Task[None]

    async def enter(self) -> tuple[object, Context]:
        """Enter it; returns its value and the context that it leaves."""
        loop = asyncio.get_running_loop()
        self._entered = loop.create_future()
        self._task = loop.create_task(self._hold(), name="rmqwork-lifespan")
        await asyncio.wait((self._entered, self._task), return_when=asyncio.FIRST_COMPLETED)
        if not self._entered.done():
            raise self._error or RuntimeError("the lifespan ended before it yielded")
        return self._entered.result()

    async def leave(self) -> None:
        """Leave it; raises what it raises, unless it had ended before."""
        if self._task.done():
            return
        self._leaving.set()
        await asyncio.wait((self._task,))
        if self._error is not None:
            raise self._error

    async def _hold(self) -> None:
        try:
            async with self._manager as state:
                self._entered.set_result((state, copy_context()))
                await self._leaving.wait()
        except BaseException as error:  # a sys.exit, too: it must not leave the event loop
            self._error = error
        if self._entered.done() and not self._leaving.is_set():
            self._on_early_end(self._error)
