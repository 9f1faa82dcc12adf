"""Publish with confirms over a connection that may come and go.

`Publisher` lives in an event loop: one connection, one window of unconfirmed publications for all
callers, a deadline for each call. `rmqwork._publisher.publisher_thread` gives it a
thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from rmqwork._publisher.batch import Batch, Entry
from rmqwork._publisher.failures import refused, too_late
from rmqwork._publisher.priorities import IgnoredPriorities
from rmqwork._topology import delays, join_queues
from rmqwork._topology.topology import Declaration
from rmqwork._transport.port import Connector, Link, PublishChannel
from rmqwork._transport.reconnecting import SYSTEM_CLOCK, Clock, Reconnecting
from rmqwork.errors import (
    BrokerUnavailable,
    ConfigurationError,
    InvalidMessage,
    PublishError,
    RmqworkError,
)
from rmqwork.types import Verdict

_log = logging.getLogger("rmqwork.publisher")

WINDOW: Final = 1000
"""Publications that may wait for their confirm at once."""
WINDOW_BYTES: Final = 64 << 20
UNCONFIRMED_LIMIT: Final = 60.0
"""Seconds after which a channel with an unconfirmed publication is given up for a new one."""
_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that the broker has for the end of such a channel; then the connection goes, too."""


class Publisher:
    """Publishes in the event loop in which it was made.

    Args:
        connector: where connections come from.
        plan: what must exist before the first publication of each connection.
        name: shown in the broker's list of connections.
        eager: connect at once, declare the delay queues, too, and stay connected; else all of this
            waits for the first publication that needs it.
        clock: of the waits between two attempts to connect.
        unconfirmed_limit: seconds that a publication may stay unconfirmed on a channel before
            the channel is given up for a new one.
    """

    def __init__(
        self,
        connector: Connector,
        plan: Sequence[Declaration],
        name: str,
        *,
        eager: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        unconfirmed_limit: float = UNCONFIRMED_LIMIT,
    ) -> None:
        self._connector = connector
        self._plan = plan
        self._name = name
        self._eager = eager
        self._clock = clock
        self._unconfirmed_limit = unconfirmed_limit
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Entry] = deque()
        self._lost: list[Entry] = []
        self._batches: set[Batch] = set()
        self._in_flight = 0
        self._bytes = 0
        self._link: Link | None = None
        self._channel: PublishChannel | None = None
        self._given_up: PublishChannel | None = None
        self._overdue: set[Entry] = set()
        """Sent on the channel, without an answer at their deadline."""
        self._unconfirmed: dict[Entry, float] = {}
        """The oldest of each call at the last look, and when they were first seen so."""
        self._look: asyncio.TimerHandle | None = None
        self._delays: asyncio.Task[None] | None = None
        self._came_back: list[Entry] = []
        self._declaring: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._problem: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._ignored_priorities = IgnoredPriorities(plan)
        self._runner = self._loop.create_task(self._run(), name="rmqwork-publisher")

    @property
    def connected(self) -> bool:
        """Whether publications can leave now."""
        return self._channel is not None and self._channel.is_open

    @property
    def problem(self) -> Exception | None:
        """Why there is no connection, after the last try."""
        return self._problem

    @property
    def backlog(self) -> int:
        """Publications that have no answer yet."""
        return len(self._waiting) + self._in_flight

    @property
    def owed(self) -> int:
        """Publications that have no answer yet, and that somebody would miss."""
        return sum(batch.open for batch in self._batches if not batch.best_effort)

    def submit(self, batch: Batch) -> None:
        """Take the publications of a call; its future tells what became of them."""
        if not batch.entries:
            batch.future.set_result([])
            return
        self._batches.add(batch)
        self._waiting.extend(batch.entries)
        self._set_timer(batch.deadline)
        if self._look is None:
            look_after = self._unconfirmed_limit / 2
            self._look = self._loop.call_later(look_after, self._look_at_channel)
        if self.connected:
            self._pump()
        else:
            self._wake.set()

    def submit_all(self, batches: deque[Batch]) -> None:
        """Take the batches off a queue, and send them now, not at the end of the turn."""
        channel = self._channel
        if channel is not None:
            channel.hold()
        try:
            while batches:
                self.submit(batches.popleft())
        finally:
            if channel is not None:
                channel.flush()

    async def close(self, timeout: float) -> int:
        """Wait for what was submitted, then disconnect.

        Args:
            timeout: seconds to wait for confirms.

        Returns:
            how many publications could not be confirmed; those that are best_effort do not count.
        """
        end = monotonic() + timeout
        while self._batches and monotonic() < end:
            futures = [asyncio.wrap_future(batch.future) for batch in self._batches]
            await asyncio.wait(futures, timeout=end - monotonic())
        left = self.owed
        for batch in tuple(self._batches):
            batch.deadline = 0.0
        self._sweep()
        if self._look is not None:
            self._look.cancel()
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
        return left

    def release(self) -> None:
        """In a forked child: let go of the parent's connection without a word to the broker."""
        if self._link is not None:
            self._link.release()

    # ── the connection ────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        async for _ in Reconnecting(self._clock, needed=self._needed):
            try:
                await self._connected_once()
            except ConfigurationError as error:
                self._refuse(error)
            except Exception as error:
                self._problem = error
                _log.debug("publisher: %s", error)

    async def _needed(self) -> None:
        """Return when a connection is needed."""
        if not (self._eager or self._waiting or self._lost):
            self._wake.clear()
            await self._wake.wait()

    async def _connected_once(self) -> None:
        """Connect, publish until the connection ends."""
        ended = asyncio.Event()
        link = await self._connector.open(self._name)
        self._link = link
        self._delays = None
        link.on_lost(lambda reason: self._on_lost(reason, ended))
        link.on_blocked(lambda blocked: None if blocked else self._pump())
        try:
            for difference in await link.declare(self._plan):
                _log.warning("%s; used as it is", difference)
            while link.is_open and not ended.is_set():
                self._channel = await link.open_publishing()
                self._overdue.clear()
                self._unconfirmed.clear()
                self._problem = None
                self._take_back()  # what was told to be lost after the end of the last channel
                if self._eager:
                    self._delays_are_ready(link)  # before a retry needs them
                self._pump()
                await self._until_channel_ends(ended)
                await self._end_given_up(link)
                self._take_back()
        finally:
            self._channel = None
            self._take_back()
            if link.is_open:
                await link.close()
            self._link = None

    async def _until_channel_ends(self, ended: asyncio.Event) -> None:
        while not ended.is_set() and self.connected:
            self._wake.clear()
            waits = [
                self._loop.create_task(ended.wait()),
                self._loop.create_task(self._wake.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _end_given_up(self, link: Link) -> None:
        """Close the channel that was given up, if one was; where that takes too long, the link."""
        channel, self._given_up = self._given_up, None
        if channel is None or not channel.is_open:
            return
        try:
            await asyncio.wait_for(channel.close(), _CLOSE_TIMEOUT)
        except TimeoutError:
            await link.close()

    def _on_lost(self, reason: str, ended: asyncio.Event) -> None:
        self._problem = BrokerUnavailable(f"the connection was lost: {reason}")
        _log.warning("publisher: the connection was lost: %s; reconnecting", reason)
        ended.set()

    def _take_back(self) -> None:
        """What was under way when the channel ended is sent again, first, with the same ids."""
        lost, self._lost = self._lost, []
        self._waiting.extendleft(reversed(lost))

    def _refuse(self, error: ConfigurationError) -> None:
        self._problem = error
        self._waiting.clear()
        for batch in tuple(self._batches):
            batch.end(error)
        self._batches.clear()

    def _refuse_delayed(self, error: ConfigurationError) -> None:
        """End the calls that need the delay queues; others have nothing to do with them."""
        self._delays = None
        for batch in tuple(self._batches):
            if any(entry.publication.due is not None for entry in batch.entries):
                batch.end(error)
                self._batches.discard(batch)

    # ── publishing ────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        channel, link, waiting = self._channel, self._link, self._waiting
        if channel is None or link is None or not channel.is_open:
            return
        while waiting and self._in_flight < WINDOW and self._bytes < WINDOW_BYTES:
            if link.blocked:
                return
            entry = waiting[0]
            delayed = entry.publication.due is not None and not entry.finished
            if delayed and not self._delays_are_ready(link):
                return
            waiting.popleft()
            if not entry.finished:
                self._send(channel, link, entry)

    def _send(self, channel: PublishChannel, link: Link, entry: Entry) -> None:
        publication = entry.publication
        if publication.priority is not None:
            self._ignored_priorities.check(publication, link)
        size = len(publication.body)
        self._in_flight += 1
        self._bytes += size
        entry.in_window = True
        try:
            channel.publish(publication, lambda verdict, text: self._settled(entry, verdict, text))
            entry.sent = True
        except InvalidMessage as error:
            self._leave_window(entry)
            self._batches.discard(entry.batch)
            entry.batch.end(error)

    def _settled(self, entry: Entry, verdict: Verdict, text: str) -> None:
        if entry.in_window:
            entry.in_window = False
            self._in_flight -= 1
            self._bytes -= len(entry.publication.body)
        else:
            self._overdue.discard(entry)
        if verdict is Verdict.LOST:
            entry.unanswered = True
            self._lost.append(entry)
            self._wake.set()
            return
        if verdict is Verdict.RETURNED and self._declares_for(entry):
            return
        error = None if verdict is Verdict.CONFIRMED else refused(entry.publication, verdict, text)
        if error is not None:
            error.may_have_arrived = entry.unanswered
        if entry.finish(error):
            self._batches.discard(entry.batch)
        if self._waiting:
            self._pump()

    def _leave_window(self, entry: Entry) -> None:
        entry.in_window = False
        self._in_flight -= 1
        self._bytes -= len(entry.publication.body)

    def _declares_for(self, entry: Entry) -> bool:
        """Whether what came back is sent again: the queues of joins are made when first needed."""
        link = self._link
        if entry.publication.type != join_queues.TYPE or entry.came_back or link is None:
            return False
        entry.came_back = True
        self._came_back.append(entry)
        if len(self._came_back) == 1:
            self._declaring = self._loop.create_task(self._declare_shards(link))
        return True

    async def _declare_shards(self, link: Link) -> None:
        try:
            await link.declare(join_queues.plan())
        except Exception as error:
            _log.warning("the queues of joins could not be declared: %s", error)
        entries, self._came_back = self._came_back, []
        self._waiting.extendleft(reversed(entries))
        self._pump()

    def _delays_are_ready(self, link: Link) -> bool:
        if self._delays is None:
            self._delays = self._loop.create_task(self._declare_delays(link))
        return self._delays.done()

    async def _declare_delays(self, link: Link) -> None:
        try:
            for difference in await link.declare(delays.delay_declarations(self._plan)):
                _log.warning("%s; used as it is", difference)
        except RmqworkError as error:
            self._refuse_delayed(ConfigurationError(f"the delay queues cannot be used: {error}"))
        except Exception as error:
            _log.debug("publisher: the delay queues were not declared: %s", error)
            if link.is_open:
                await link.close()
                self._wake.set()
            return
        self._loop.call_soon(self._pump)

    # ── deadlines ─────────────────────────────────────────────────────────────────────────────

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(0.0, at - monotonic()), self._sweep)

    def _sweep(self) -> None:
        """End what is too late; its place in the window is for others, whatever its queue does."""
        self._timer = None
        now = monotonic() + 0.001
        late = [batch for batch in self._batches if batch.deadline <= now]
        for batch in late:
            for entry in batch.entries:
                if not entry.finished:
                    entry.finish(self._too_late(entry))
                if entry.in_window:
                    self._leave_window(entry)
                    self._overdue.add(entry)
            self._batches.discard(batch)
        if late:  # without a connection nothing else would take them out
            kept = [entry for entry in self._waiting if not entry.finished]
            self._waiting.clear()
            self._waiting.extend(kept)
        if self._waiting and late:
            self._pump()
        if self._batches:
            self._set_timer(min(batch.deadline for batch in self._batches))

    def _look_at_channel(self) -> None:
        """Give the channel up if it has waited too long for a confirm.

        What its broker has taken, and not confirmed, is in memory there and here; and a queue
        without a majority may hold back all that comes on the same channel.
        """
        self._look = None
        if not (self._in_flight or self._overdue):
            return
        self._look = self._loop.call_later(self._unconfirmed_limit / 2, self._look_at_channel)
        if self._channel is None or self._link is None or self._link.blocked:
            self._unconfirmed.clear()
            return
        now, seen = monotonic(), self._unconfirmed
        found = [*self._overdue, *filter(None, map(_oldest_in_window, self._batches))]
        self._unconfirmed = {entry: seen.get(entry, now) for entry in found}
        waited = now - min(self._unconfirmed.values(), default=now)
        if waited >= self._unconfirmed_limit:
            _log.warning(
                "publisher: the broker has left publications unconfirmed for %.0f s, and gets a "
                "new channel (a queue or stream without a majority of its nodes confirms nothing)",
                waited,
            )
            self._given_up, self._channel = self._channel, None
            self._wake.set()

    def _too_late(self, entry: Entry) -> PublishError:
        problem = None
        if not self.connected:
            problem = str(self._problem or f"no connection to {self._connector.label}")
        blocked = self._link is not None and self._link.blocked
        return too_late(entry.publication, entry.batch.timeout, entry.sent, blocked, problem)


def _oldest_in_window(batch: Batch) -> Entry | None:
    """The first publication of a call that waits for its confirm; they are sent in order."""
    for entry in batch.entries:
        if not entry.finished:
            return entry if entry.in_window else None
    return None
