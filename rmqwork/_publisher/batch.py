"""The publications of one call on their way to their confirms."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from rmqwork._publisher.future import ConfirmFuture
from rmqwork.errors import PublishError
from rmqwork.types import Publication


class Batch:
    """The publications of one call, and the future of what becomes of them.

    Args:
        publications: in the order in which they are to be sent.
        timeout: seconds for all of them.
        best_effort: whether nobody misses them: all that was done stands without.
    """

    __slots__ = ("best_effort", "deadline", "entries", "future", "open", "results", "timeout")

    def __init__(
        self, publications: Sequence[Publication], timeout: float, *, best_effort: bool = False
    ) -> None:
        self.best_effort = best_effort
        self.future: ConfirmFuture[list[PublishError | None]] = ConfirmFuture()
        self.results: list[PublishError | None] = [None] * len(publications)
        self.open = len(publications)
        self.timeout = timeout
        self.deadline = monotonic() + timeout
        self.entries = [Entry(pub, self, index) for index, pub in enumerate(publications)]

    def end(self, error: BaseException) -> None:
        """End the whole call with an error that is not about one publication."""
        for entry in self.entries:
            entry.finished = True
        self.open = 0
        if not self.future.done():
            self.future.set_exception(error)


class Entry:
    """One publication between its submission and its end."""

    __slots__ = (
        "batch",
        "came_back",
        "finished",
        "in_window",
        "index",
        "publication",
        "sent",
        "unanswered",
    )

    def __init__(self, publication: Publication, batch: Batch, index: int) -> None:
        self.publication = publication
        self.batch = batch
        self.index = index
        self.sent = False
        self.in_window = False
        """Whether it has one of the places for what waits for its confirm."""
        self.unanswered = False
        """Whether it was sent on a channel that ended before an answer came: it may have arrived,
        whatever becomes of it when it is sent again."""
        self.finished = False
        self.came_back = False
        """Whether it was returned once, and its queue declared."""

    def finish(self, error: PublishError | None) -> bool:
        """Note the end; true when it was the last of its batch."""
        if self.finished:
            return False
        self.finished = True
        batch = self.batch
        batch.results[self.index] = error
        batch.open -= 1
        if batch.open:
            return False
        if not batch.future.done():
            batch.future.set_result(batch.results)
        return True
