"""The result ports: what a client asks of a back end and of its app, and a worker of a store.

With ``rpc://`` the worker process publishes replies, and there is no store. With Redis or SQL the
executor writes into the store before it reports its outcome, and clients read from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from rmqwork._results.pending import PendingResult
from rmqwork._results.record import Record

if TYPE_CHECKING:
    from rmqwork._config.settings import Settings


class ResultBackend(Protocol):
    """A client's way to results. All methods may be called from any thread."""

    @property
    def reply_to(self) -> str | None:
        """What publications carry, so that workers know where to answer; None: nothing."""

    def ready(self) -> Future[None] | None:
        """Before a publish: None when it can go ahead, or what to wait for.

        The future raises `ConfigurationError` when it can never be ready.
        """

    @property
    def problem(self) -> str:
        """Why it is not ready."""
        ...

    def expect(self, task_id: str, run: str | None = None) -> PendingResult:
        """A task is about to be published, whose result somebody may want.

        Args:
            task_id: the id of its message.
            run: which run of a chosen id it is (`rmqwork._messages.headers.RUN`).
        """
        ...

    def entry(self, task_id: str, task: str) -> PendingResult:
        """The entry of a task that was published somewhere, some time.

        Raises:
            ResultsDisabled: its result cannot be had here.
        """
        ...

    def watch(self, entry: PendingResult) -> Future[Record]:
        """Begin to look out for the final word; returns its future.

        Raises:
            ResultsDisabled: its result cannot be had here.
        """
        ...

    def latest(self, entry: PendingResult) -> Record | None:
        """What is known now; None = nothing. May wait for a store."""

    def forget(self, entry: PendingResult) -> None:
        """Delete the result."""

    def close(self) -> None:
        """Let go of connections and threads."""


class Store(Protocol):
    """Records by key, each for some time. Calls block, and may come from any thread."""

    def put(self, key: str, body: bytes, ttl: float) -> None:
        """Write a record.

        Args:
            key: at most 255 bytes.
            body: of the record.
            ttl: seconds that it is kept.

        Raises:
            Exception: whatever the driver raises when the store cannot be had.
        """

    def fetch(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """The records of these keys, as far as there are any. Raises as `put`."""
        ...

    def delete(self, keys: Collection[str]) -> None:
        """Delete the records of these keys. Raises as `put`."""

    def close(self) -> None:
        """Let go of connections."""


class ValueCodec(Protocol):
    """Writes and reads the values that a task returns."""

    def dump(self, value: object) -> bytes:
        """``{"result":…}``.

        Raises:
            ValueError: it cannot be written.
        """
        ...

    def load(self, body: bytes) -> Any:
        """The value of a record.

        Raises:
            InvalidMessage: it cannot be read.
        """
        ...


class ResultOptions(Protocol):
    """The options of a task that concern its results."""

    @property
    def ignore_result(self) -> bool:
        """True if nobody wants them."""
        ...


class ResultTask(Protocol):
    """A task, as far as its results are concerned."""

    @property
    def task_options(self) -> ResultOptions:
        """Its options."""
        ...

    @property
    def values(self) -> ValueCodec:
        """Writes and reads its values."""
        ...

    @property
    def each(self) -> ValueCodec:
        """Writes and reads lists of its values."""
        ...


class Revoker(Protocol):
    """Revokes tasks."""

    def revoke(self, ids: Sequence[str], *, terminate: bool = False) -> None:
        """Have the tasks with these ids not run, or not run on."""
        ...

    async def arevoke(self, ids: Sequence[str], *, terminate: bool = False) -> None:
        """`revoke` for asyncio."""
        ...


class ResultOwner(Revoker, Protocol):
    """The app whose results are asked for."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def settings(self) -> Settings:
        """Its settings."""
        ...

    @property
    def tasks(self) -> Mapping[str, ResultTask]:
        """Its tasks by name."""
        ...

    @property
    def publishes_in_worker(self) -> bool:
        """True in a process that runs tasks."""
        ...


def progress_key(task_id: str) -> str:
    """Where a store keeps what is not final, so that nothing goes over a final word."""
    return f"{task_id}:p"
