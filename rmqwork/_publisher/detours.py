"""Publications of routes that confirm nothing, kept apart from all others.

A queue without a majority of its nodes confirms nothing, and one message for it holds back the
confirms of all later ones of its channel. Such a route (exchange and routing key) gets a publisher
of its own, with a small window, until it has confirmed what it got.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Final, Protocol

from rmqwork._publisher.batch import Batch, Entry
from rmqwork.errors import BrokerBlocked, BrokerUnavailable, PublishError, PublishTimeout

Route = tuple[str, str]
"""Exchange and routing key."""

_FIRST_BLAME: Final = 4
"""Routes that are kept apart at the first stall; at those that follow it soon, four times more."""
_NO_ANSWERS: Final = (BrokerBlocked, BrokerUnavailable, PublishTimeout)


def route_of(entry: Entry) -> Route:
    """The route of a publication."""
    return (entry.publication.exchange, entry.publication.routing_key)


class DetourPublisher(Protocol):
    """A publisher, as far as a detour uses it."""

    def submit(self, batch: Batch) -> None:
        """Take the publications of a call; its future tells what became of them."""

    async def close(self, timeout: float) -> int:
        """Wait for what was submitted, then disconnect."""
        ...

    def release(self) -> None:
        """In a forked child: let go of the parent's connection without a word to the broker."""


class _Detour:
    """A publisher for stalled routes, and what was given to it."""

    def __init__(self, publisher: DetourPublisher, now: float) -> None:
        self.publisher = publisher
        self.open: dict[Entry, Entry] = {}
        """Without an answer: the publication as submitted, and as given to the publisher."""
        self.used = now


class Detours:
    """The stalled routes of a publisher.

    Args:
        make: makes the publisher of a route.
        answered: is told what became of a publication.
        limit: publishers at once; further routes share the last one.
        idle_limit: seconds without a publication after which a route is forgotten.
        now: the time.
    """

    def __init__(
        self,
        make: Callable[[], DetourPublisher],
        answered: Callable[[Entry, BaseException | None], None],
        *,
        limit: int,
        idle_limit: float,
        now: Callable[[], float],
    ) -> None:
        self._make = make
        self._answered = answered
        self._limit = limit
        self._idle_limit = idle_limit
        self._now = now
        self._blame = _FIRST_BLAME
        self._blamed_at: float | None = None
        self._closing: set[asyncio.Task[int]] = set()
        self.routes: dict[Route, _Detour] = {}

    @property
    def _all(self) -> list[_Detour]:
        return list(dict.fromkeys(self.routes.values()))

    def blame(self, entries: Iterable[Entry]) -> list[Route]:
        """Keep routes apart from now on.

        Args:
            entries: without an answer, in the order in which they were sent. The first one is what
                holds the others back.

        Returns:
            the routes.
        """
        now = self._now()
        last, self._blamed_at = self._blamed_at, now
        again = last is not None and now - last < self._idle_limit
        self._blame = self._blame * 4 if again else _FIRST_BLAME
        suspects = [*dict.fromkeys(map(route_of, entries))][: self._blame]
        for route in suspects:
            if route not in self.routes:
                self.routes[route] = self._detour(now)
        return suspects

    def _detour(self, now: float) -> _Detour:
        detours = self._all
        if len(detours) < self._limit:
            return _Detour(self._make(), now)
        return detours[-1]

    def take(self, entry: Entry) -> bool:
        """Whether a publication is of a stalled route; it is sent there, if so."""
        detour = self.routes.get(route_of(entry))
        if detour is None:
            return False
        outer = entry.batch
        batch = Batch((entry.publication,), outer.timeout, best_effort=outer.best_effort)
        batch.deadline = outer.deadline
        detour.open[entry] = batch.entries[0]
        detour.used = self._now()
        batch.future.add_done_callback(lambda future: self._done(detour, entry, future))
        detour.publisher.submit(batch)
        return True

    def holds(self, entry: Entry) -> bool:
        """Whether a publication waits for its confirm here."""
        return any(entry in detour.open for detour in self.routes.values())

    def sent(self, entry: Entry) -> bool:
        """Whether a publication has left over the connection of its route."""
        return any(
            inner.sent
            for detour in self.routes.values()
            if (inner := detour.open.get(entry)) is not None
        )

    def _done(
        self, detour: _Detour, entry: Entry, future: Future[list[PublishError | None]]
    ) -> None:
        detour.open.pop(entry, None)
        error = future.exception()
        if error is None:
            (error,) = future.result()
        self._answered(entry, error)
        if not detour.open and not isinstance(error, _NO_ANSWERS):
            self._end(detour)  # its queues confirm again

    def look(self) -> None:
        """Forget routes that nobody has published to for long."""
        for detour in self._all:
            if not detour.open and self._now() - detour.used > self._idle_limit:
                self._end(detour)

    def _end(self, detour: _Detour) -> None:
        if detour not in self.routes.values():
            return
        self.routes = {route: one for route, one in self.routes.items() if one is not detour}
        task = asyncio.get_running_loop().create_task(detour.publisher.close(0))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End all; what has no answer gets it by its deadline, which is the caller's."""
        for detour in self._all:
            self._end(detour)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def release(self) -> None:
        """In a forked child: let go of the parent's connections without a word to the broker."""
        for detour in self._all:
            detour.publisher.release()
