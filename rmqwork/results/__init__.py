"""What a publisher holds in its hand after a publish."""

from __future__ import annotations

from typing import Generic, NoReturn, TypeVar

from rmqwork.errors import ResultsDisabled

R_co = TypeVar("R_co", covariant=True)


class AsyncResult(Generic[R_co]):
    """A task that was published, and the way to its result.

    Attributes:
        id: the id of its message.
        task: its name.
    """

    __slots__ = ("id", "task")

    def __init__(self, id: str, task: str) -> None:
        self.id = id
        self.task = task

    def get(self, timeout: float | None = None) -> R_co:
        """Wait for the task's result.

        Args:
            timeout: seconds; None = for ever.

        Raises:
            ResultsDisabled: the app keeps no results.
        """
        self._refuse()

    async def aget(self, timeout: float | None = None) -> R_co:
        """`get` for asyncio."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ResultsDisabled(
            f"task {self.task!r} ({self.id}) was published by an app that keeps no results; this "
            "version of rmqwork has no result back end yet: let the task store what it finds"
        )

    def __repr__(self) -> str:
        return f"<AsyncResult {self.task} {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)
