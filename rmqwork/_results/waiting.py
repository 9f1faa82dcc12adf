"""Waiting for many results at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar

from rmqwork._results.result import AsyncResult
from rmqwork.errors import ResultTimeout

R = TypeVar("R")


def as_completed(
    results: Iterable[AsyncResult[R]], timeout: float | None = None
) -> Iterator[AsyncResult[R]]:
    """Each result as soon as its task has ended, successes and failures.

    Args:
        results: of tasks that were published.
        timeout: seconds for all of them; None = for ever.

    Raises:
        ResultTimeout: some had not ended in time.
        ResultsDisabled: a result cannot be had here.
    """
    done: SimpleQueue[AsyncResult[R]] = SimpleQueue()
    left = 0
    for result in results:
        result.future().add_done_callback(_put(done, result))
        left += 1
    end = None if timeout is None else monotonic() + timeout
    while left:
        try:
            yield done.get(timeout=None if end is None else max(0.0, end - monotonic()))
        except Empty:
            raise ResultTimeout(f"{left} tasks had no result within {timeout:g} s") from None
        left -= 1


def wait(
    results: Iterable[AsyncResult[R]],
    *,
    timeout: float | None = None,
    progress: bool = False,
) -> list[AsyncResult[R]]:
    """Wait until all tasks have ended; returns their results in the given order.

    A failure is no reason to stop: ask each result for its value.

    Args:
        results: of tasks that were published.
        timeout: seconds for all of them; None = for ever.
        progress: whether a progress bar is shown on stderr.

    Raises:
        ResultTimeout: some had not ended in time.
        ResultsDisabled: a result cannot be had here.
    """
    from rmqwork._publisher.sender import warn_on_loop

    warn_on_loop("wait", "asyncio.gather(*(result.aget() for result in results))", 3)
    results = list(results)
    with _bar(len(results)) if progress else nullcontext() as bar:
        for result in as_completed(results, timeout):
            if bar is not None:
                bar.tick(failed=result.failed())
    return results


class _Bar:
    """A progress bar by rich."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._failed = 0
        self._bar: Any = Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("tasks", total=total)

    def tick(self, *, failed: bool) -> None:
        """One more has ended."""
        self._failed += failed
        text = f"tasks, {self._failed} failed" if self._failed else "tasks"
        self._bar.update(self._task, advance=1, description=text)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _bar(total: int) -> AbstractContextManager[_Bar]:
    return _Bar(total)


def _put(done: SimpleQueue[AsyncResult[R]], result: AsyncResult[R]) -> Any:
    def put(_: Future[Any]) -> None:
        done.put(result)

    return put
