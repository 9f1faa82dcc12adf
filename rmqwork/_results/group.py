"""`GroupResult`: the results of many tasks as one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from rmqwork._results.pending import PendingResult
from rmqwork._results.port import Revoker
from rmqwork._results.record import Record, State
from rmqwork._results.result import AsyncResult, Source
from rmqwork.errors import ResultsDisabled, ResultTimeout

R = TypeVar("R")


class GroupResult(AsyncResult[list[R]]):
    """The results of a group's members, in their order, and the list of their values.

    ``get()`` raises what the first failure is, as soon as it is known.

    Args:
        id: of the group.
        children: the results of its members.
        parent: the result of what was before it in a chain.
    """

    __slots__ = ("_all", "_lock")

    def __init__(
        self,
        id: str,
        children: Sequence[AsyncResult[Any]],
        *,
        parent: AsyncResult[Any] | None = None,
    ) -> None:
        super().__init__(id, "group", None, parent=parent, children=children)
        self._lock = threading.Lock()
        self._all: Future[Record] | None = None

    def _ids(self) -> list[str]:
        return [one for child in self.children for one in child._ids()]

    def _revoker(self) -> Revoker:
        if not self.children:
            return super()._revoker()
        return self.children[0]._revoker()

    @property
    def results(self) -> tuple[AsyncResult[R], ...]:
        """The results of its members."""
        return self.children

    def completed_count(self) -> int:
        """How many members have succeeded."""
        return sum(child.successful() for child in self.children)

    def waiting(self) -> bool:
        """Whether a member has not ended."""
        return not self.ready()

    def ready(self) -> bool:
        """Whether all members have ended."""
        return all(child.ready() for child in self._parts())

    def failed(self) -> bool:
        """Whether a member has failed."""
        return any(child.failed() for child in self._parts())

    def successful(self) -> bool:
        """Whether all members have succeeded."""
        return all(child.successful() for child in self._parts())

    @property
    def state(self) -> State:
        """``FAILURE`` or ``REVOKED`` if a member is, ``SUCCESS`` if all are."""
        states = [child.state for child in self._parts()]
        for state in (State.FAILURE, State.REVOKED):
            if state in states:
                return state
        if all(state is State.SUCCESS for state in states):
            return State.SUCCESS
        started = any(state is not State.PENDING for state in states)
        return State.STARTED if started else State.PENDING

    @property
    def traceback(self) -> str | None:
        """The remote traceback of the first member that has failed."""
        return next((child.traceback for child in self._parts() if child.failed()), None)

    def future(self) -> Future[Record]:
        """Ends with the last member, or with the first failure."""
        with self._lock:
            if self._all is None:
                self._all = _all_of([child.future() for child in self._parts()])
            return self._all

    def forget(self) -> None:
        """Delete the results of all members."""
        for child in self.children:
            child.forget()

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        return iter(self.children)

    def __len__(self) -> int:
        return len(self.children)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, at: int) -> AsyncResult[R]:
        return self.children[at]

    def _parts(self) -> Sequence[AsyncResult[Any]]:
        """What it waits for; an empty group behind a task waits for that."""
        if self.children or self.parent is None:
            return self.children
        return (self.parent,)

    def _watched(self) -> Future[Record]:
        for child in self._parts():
            child._watched()
        return self.future()

    def _latest(self) -> Record | None:
        future = self.future()
        return future.result() if future.done() else None

    def _value(self, record: Record) -> list[R]:
        for child in self._parts():
            future = child.future()
            if future.done() and future.result().state is not State.SUCCESS:
                child._value(future.result())  # raises
        return [child._value(child.future().result()) for child in self.children]

    def _late(self, timeout: float | None) -> ResultTimeout:
        left = sum(not child.future().done() for child in self.children)
        return ResultTimeout(
            f"{left} of the {len(self.children)} members of group {self.id} had no result within "
            f"{timeout:g} s; they may still come; is a worker running for their queues?"
        )

    def __repr__(self) -> str:
        return f"<GroupResult {self.id} of {len(self.children)}>"


def _all_of(futures: Sequence[Future[Record]]) -> Future[Record]:
    """Ends when all have, or when the first one failed."""
    whole: Future[Record] = Future()
    whole.set_running_or_notify_cancel()
    lock, left = threading.Lock(), len(futures)

    def ended(future: Future[Record]) -> None:
        nonlocal left
        with lock:
            left -= 1
            if whole.done():
                return
            error = future.exception()
            if error is not None:
                whole.set_exception(error)
            elif left == 0 or future.result().state is not State.SUCCESS:
                whole.set_result(future.result())

    for future in futures:
        future.add_done_callback(ended)
    if not futures:
        whole.set_result(Record(State.SUCCESS, b'{"state":"SUCCESS","result":[]}'))
    return whole


class _Nothing:
    """Where the result of an empty chain comes from: it is there already."""

    reply_to = None
    problem = ""

    def ready(self) -> None:
        """See `rmqwork._results.port.ResultBackend`."""

    def expect(self, task_id: str, run: str | None = None) -> PendingResult:
        """See the port."""
        return PendingResult(task_id)

    def entry(self, task_id: str, task: str) -> PendingResult:
        """See the port."""
        raise ResultsDisabled(f"task {task!r} ({task_id}) is no task")

    def watch(self, entry: PendingResult) -> Future[Record]:
        """See the port."""
        return entry.final

    def latest(self, entry: PendingResult) -> Record | None:
        """See the port."""
        return entry.latest

    def forget(self, entry: PendingResult) -> None:
        """See the port."""

    def close(self) -> None:
        """See the port."""


def nothing_to_do() -> AsyncResult[Any]:
    """The result of an empty chain: None, at once."""
    entry = PendingResult("")
    entry.update(Record(State.SUCCESS, b'{"state":"SUCCESS","result":null}'))
    return AsyncResult("", "empty chain", Source(_Nothing(), entry))
