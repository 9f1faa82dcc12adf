"""Publish until the broker has all of it: what a delivery must not be acked without."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, Protocol

from rmqwork._publisher.batch import Batch
from rmqwork._transport.reconnecting import backoff
from rmqwork.errors import PublishError, Unroutable
from rmqwork.types import Publication

_log = logging.getLogger("rmqwork.publisher")
_TIMEOUT: Final = 60.0
"""Seconds that the publisher gets for one try."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is to be tried again.

    Args:
        publications: which.
        errors: why each of them was not confirmed.
        dropped: how many are given up, because nobody can take them any more.
    """

    publications: tuple[Publication, ...]
    errors: tuple[Exception, ...]
    dropped: int


class Submitter(Protocol):
    """A publisher, as far as it takes batches."""

    def submit(self, batch: Batch) -> None:
        """Take the publications of a call; its future tells what became of them."""


class Purpose(Protocol):
    """What some publications are for."""

    def confirmed(self) -> None:
        """The broker has all of them that anybody can take."""

    def refused(self, rest: Remaining) -> tuple[Publication, ...] | None:
        """Take note that a try has left something.

        Returns:
            what is to be published instead of all of that; None: the same again, after a wait.
        """

    def again(self, rest: tuple[Publication, ...]) -> bool:
        """Say, after the wait, whether what is left is to be published."""
        ...


Rest = Callable[[Sequence[Publication], Sequence[Exception | None]], Remaining]


class UntilConfirmed:
    """Publishes the same again, after a wait, for as long as something of it is not confirmed.

    Args:
        publisher: takes each try.
        rest: says what of some publications is left, given an error or None for each.
        repair: declares the topology again, when a publication has nowhere to go.
        pause: seconds to wait after so many failed tries.
    """

    def __init__(
        self,
        publisher: Submitter,
        rest: Rest,
        repair: Callable[[], Awaitable[None]],
        *,
        pause: Callable[[int], float] = backoff,
    ) -> None:
        self._publisher = publisher
        self._rest = rest
        self._repair = repair
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._repairs: set[asyncio.Task[None]] = set()
        self.dropped = 0
        """Publications that were given up, because nobody could take them any more."""

    def publish(self, publications: tuple[Publication, ...], purpose: Purpose) -> None:
        """Publish; returns at once.

        Args:
            publications: in the order in which they are to be sent.
            purpose: is told what becomes of them.
        """
        self._publish(publications, purpose, 0)

    def _publish(
        self, publications: tuple[Publication, ...], purpose: Purpose, failed: int
    ) -> None:
        batch = Batch(publications, _TIMEOUT)

        def answered(future: Future[list[PublishError | None]]) -> None:
            errors: Sequence[Exception | None]
            try:
                errors = future.result()
            except Exception as problem:
                errors = [problem] * len(publications)
            if any(errors):
                self._refused(self._rest(publications, errors), purpose, failed)
            else:
                purpose.confirmed()

        batch.future.add_done_callback(answered)
        self._publisher.submit(batch)

    def _refused(self, rest: Remaining, purpose: Purpose, failed: int) -> None:
        self.dropped += rest.dropped
        if not rest.publications:
            purpose.confirmed()
            return
        instead = purpose.refused(rest)
        if instead is not None:
            self._publish(instead, purpose, 0)
            return
        if any(isinstance(error, Unroutable) for error in rest.errors):
            self._declare_again()
        self._loop.call_later(self._pause(failed), self._again, rest, purpose, failed + 1)

    def _again(self, rest: Remaining, purpose: Purpose, failed: int) -> None:
        if purpose.again(rest.publications):
            self._publish(rest.publications, purpose, failed)

    def _declare_again(self) -> None:
        async def repair() -> None:
            try:
                await self._repair()
            except Exception as error:
                _log.warning("the topology could not be declared again: %s", error)

        task = self._loop.create_task(repair(), name="rmqwork-repair")
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)
