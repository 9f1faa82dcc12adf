"""What a publisher holds in its hand after a publish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Never, TypeVar

from rmqwork._config import celery_names
from rmqwork._config.celery_names import NamesCeleryWords
from rmqwork._results.pending import PendingResult
from rmqwork._results.port import ResultBackend, Revoker, ValueCodec
from rmqwork._results.record import Progress, Record, State
from rmqwork.errors import ResultsDisabled, ResultTimeout

_log = logging.getLogger("rmqwork.results")
R_co = TypeVar("R_co", covariant=True)


@dataclass(slots=True)
class Source:
    """Where one result comes from.

    Args:
        backend: of the app.
        entry: of the task.
        values: how its value is read; None = as plain JSON.
        each: how a list of such values is read, that of a ``map``.
        in_worker: whether this process runs tasks.
    """

    backend: ResultBackend
    entry: PendingResult
    values: ValueCodec | None = None
    each: Callable[[], ValueCodec] | None = None
    in_worker: bool = False


class AsyncResult(NamesCeleryWords, Generic[R_co]):
    """A task that was published, and the way to its result.

    Attributes:
        id: the id of its message.
        task: its name.
        parent: the result of the step before it in a workflow, if there is one.
        children: the results of its members, if it stands for several tasks.
        workflow: the id of the workflow that it is of, for ``app.revoke(workflow=…)`` and
            ``rmqwork inspect workflow``; empty: of none.
    """

    _celery_kind: ClassVar = "result"

    __slots__ = ("__weakref__", "_app", "_source", "children", "id", "parent", "task", "workflow")

    def __init__(
        self,
        id: str,
        task: str,
        source: Source | None = None,
        *,
        parent: AsyncResult[Any] | None = None,
        children: Sequence[AsyncResult[Any]] = (),
        app: Revoker | None = None,
        workflow: str = "",
    ) -> None:
        self.id = id
        self.workflow = workflow
        self.task = task
        self.parent = parent
        self.children = tuple(children)
        self._source = source
        self._app = app

    # ── waiting ───────────────────────────────────────────────────────────────────────────────

    def get(self, timeout: float | None = None, **celery: Never) -> R_co:
        """Wait for the task's result, and return its value.

        Args:
            timeout: seconds; None = for ever.

        Raises:
            ResultsDisabled: the app keeps no results, or this one cannot be had here.
            ResultTimeout: there was none in time.
            TaskFailed: the task ended in failure; `TimeLimitExceeded`, `WorkerCrashed`,
                `TaskRejected` and `TaskRevoked` are kinds of it.
            InvalidMessage: the value does not fit the task's return annotation.
        """
        from rmqwork._publisher.sender import warn_on_loop

        if celery:
            raise _unknown("get", celery)
        future = self._watched()
        warn_on_loop("get", "aget", 3)
        try:
            return self._value(future.result(timeout))
        except TimeoutError:
            if future.done():
                raise
            raise self._late(timeout) from None

    async def aget(self, timeout: float | None = None, **celery: Never) -> R_co:
        """`get` for asyncio."""
        if celery:
            raise _unknown("aget", celery)
        future = self._watched()
        waiting = asyncio.shield(asyncio.wrap_future(future))
        try:
            record = await asyncio.wait_for(waiting, timeout)
        except TimeoutError:
            if future.done():
                raise
            raise self._late(timeout) from None
        return self._value(record)

    def future(self) -> Future[Record]:
        """Ends with the task's final record; for those who wait for many.

        Raises:
            ResultsDisabled: see `get`.
        """
        source = self._given()
        return source.backend.watch(source.entry)

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> State:
        """What is known of the task now. With a store, this asks it."""
        record = self._latest()
        return State.PENDING if record is None else record.state

    @property
    def progress(self) -> Progress | None:
        """What the task has last said of its progress while it runs; None = nothing."""
        record = self._latest()
        return None if record is None else record.progress

    @property
    def traceback(self) -> str | None:
        """The remote traceback of a task that has failed (for good, or so far)."""
        record = self._latest()
        return None if record is None or not record.evidence.type else record.evidence.traceback

    def ready(self) -> bool:
        """Whether the task has ended."""
        record = self._latest()
        return record is not None and record.final

    def successful(self) -> bool:
        """Whether the task has ended in success."""
        return self.state is State.SUCCESS

    def failed(self) -> bool:
        """Whether the task has ended in failure."""
        return self.state in (State.FAILURE, State.REVOKED)

    async def astate(self) -> State:
        """`state` for asyncio."""
        return await asyncio.to_thread(lambda: self.state)

    async def aready(self) -> bool:
        """`ready` for asyncio."""
        return await asyncio.to_thread(self.ready)

    def forget(self) -> None:
        """Delete the result; nobody will ask for it again."""
        source = self._given()
        source.backend.forget(source.entry)

    async def aforget(self) -> None:
        """`forget` for asyncio."""
        await asyncio.to_thread(self.forget)

    # ── ending ────────────────────────────────────────────────────────────────────────────────

    def revoke(self, *, terminate: bool = False) -> None:
        """Have the task not run, or not run on; see `App.revoke`. A group's: all its members.

        Raises:
            ResultsDisabled: this result was made by hand, and knows no app.
            PublishError: the broker did not take it.
        """
        self._revoker().revoke(self._ids(), terminate=terminate)

    async def arevoke(self, *, terminate: bool = False) -> None:
        """`revoke` for asyncio."""
        await self._revoker().arevoke(self._ids(), terminate=terminate)

    def _revoker(self) -> Revoker:
        if self._app is None:
            raise ResultsDisabled(f"the result {self.id} knows no app; use app.revoke(id)")
        return self._app

    def _ids(self) -> list[str]:
        """The ids of the tasks that it stands for."""
        return [self.id]

    # ── inside ────────────────────────────────────────────────────────────────────────────────

    def _given(self) -> Source:
        if self._source is None:
            raise ResultsDisabled(
                f"task {self.task!r} ({self.id}) was published without a result: give the app "
                "results='rpc://', redis://… or a database, and the task no ignore_result=True"
            )
        return self._source

    def _watched(self) -> Future[Record]:
        source = self._given()
        future = source.backend.watch(source.entry)
        if source.in_worker and not future.done():
            _log.warning(
                "a task waits for the result of %s (%s) and keeps its place in the worker "
                "meanwhile: when all places wait so, nothing goes on; compose tasks with chain, "
                "group and chord, or publish without get()",
                self.task,
                self.id,
            )
        return future

    def _latest(self) -> Record | None:
        source = self._given()
        return source.backend.latest(source.entry)

    def _value(self, record: Record) -> R_co:
        if record.state is not State.SUCCESS:
            raise record.error(self.task, self.id)
        source = self._given()
        values = source.each() if record.each and source.each is not None else source.values
        if values is None:
            from rmqwork._results.values import ANYTHING

            values = ANYTHING
        return values.load(record.body)  # type: ignore[no-any-return]

    def _late(self, timeout: float | None) -> ResultTimeout:
        entry = self._given().entry
        known = State.PENDING if entry.latest is None else entry.latest.state
        return ResultTimeout(
            f"task {self.task!r} ({self.id}) had no result within {timeout:g} s; it may still come "
            f"(last known state: {known}); is a worker running for its queue?"
        )

    def __repr__(self) -> str:
        return f"<AsyncResult {self.task} {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def _unknown(verb: str, given: Iterable[str]) -> TypeError:
    """The error of arguments that only Celery has."""
    names = ", ".join(map(repr, given))
    return TypeError(
        f"{verb}() got an unexpected keyword argument {names}{celery_names.of_arguments(given)}"
    )
