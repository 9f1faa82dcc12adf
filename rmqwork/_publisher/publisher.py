"""Publish with confirms over a connection that may come and go.

`Publisher` lives in an event loop: one connection, one window of unconfirmed publications for all
callers, a deadline for each call. `rmqwork._publisher.publisher_thread` gives it a
thread of its own.

A queue without a majority of its nodes confirms nothing, and one message for it holds back all
later ones of its channel. A channel that confirms nothing for a while is left with its connection;
what had no answer is sent again over a new one, and the routes under suspicion make a detour
(`rmqwork._publisher.detours`).
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from rmqwork._publisher.batch import Batch, Entry
from rmqwork._publisher.channel_watch import ChannelWatch
from rmqwork._publisher.detours import Detours
from rmqwork._publisher.failures import refused, too_late
from rmqwork._publisher.limits import LIMITS, Limits
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
    PublishTimeout,
    RmqworkError,
)
from rmqwork.types import Verdict

_log = logging.getLogger("rmqwork.publisher")


class Publisher:
    """Publishes in the event loop in which it was made.

    Args:
        connector: where connections come from.
        plan: what must exist before the first publication of each connection.
        name: shown in the broker's list of connections.
        eager: connect at once, declare the delay queues, too, and stay connected; else all of this
            waits for the first publication that needs it.
        clock: of the waits between two attempts to connect.
        limits: of what is under way, and of waits for confirms.
        detours: whether routes that confirm nothing are kept apart.
    """

    def __init__(
        self,
        connector: Connector,
        plan: Sequence[Declaration],
        name: str,
        *,
        eager: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        limits: Limits = LIMITS,
        detours: bool = True,
    ) -> None:
        self._connector = connector
        self._plan = plan
        self._name = name
        self._eager = eager
        self._clock = clock
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Entry] = deque()
        self._lost: list[Entry] = []
        self._batches: dict[Batch, None] = {}
        """In the order in which they came."""
        self._in_flight = 0
        self._bytes = 0
        self._link: Link | None = None
        self._channel: PublishChannel | None = None
        self._given_up: PublishChannel | None = None
        self._overdue: dict[Entry, None] = {}
        """Sent on the channel, without an answer at their deadline."""
        self._answers = 0
        self._watch = ChannelWatch(limits)
        self._look: asyncio.TimerHandle | None = None
        self._left: weakref.WeakSet[PublishChannel] = weakref.WeakSet()
        """Channels that confirmed nothing; what they owed was sent again."""
        self._leaving: set[asyncio.Task[None]] = set()
        self._may_detour = detours
        self._detours = Detours(
            self._make_detour,
            self._detour_answered,
            limit=limits.detours,
            idle_limit=5 * limits.unconfirmed,
            now=monotonic,
        )
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
        self._batches[batch] = None
        self._waiting.extend(batch.entries)
        self._set_timer(batch.deadline)
        if self._look is None:
            self._watch.reset(self._answers, monotonic())
            self._look = self._loop.call_later(self._watch.interval, self._look_at_channel)
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
        await self._detours.close()
        self._runner.cancel()
        await asyncio.gather(self._runner, *self._leaving, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
        return left

    def release(self) -> None:
        """In a forked child: let go of the parent's connection without a word to the broker."""
        if self._link is not None:
            self._link.release()
        self._detours.release()

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
                self._watch.reset(self._answers, monotonic())
                self._problem = None
                self._take_back()  # what was told to be lost after the end of the last channel
                if self._eager:
                    self._delays_are_ready(link)  # before a retry needs them
                self._pump()
                await self._until_channel_ends(ended)
                if self._link is not link:
                    break
                await self._end_given_up(link)
                self._take_back()
        finally:
            self._channel = None
            self._take_back()
            if link.is_open and link is self._link:
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
            await asyncio.wait_for(channel.close(), self._limits.close_timeout)
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
                self._batches.pop(batch, None)

    # ── publishing ────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        channel, link, waiting = self._channel, self._link, self._waiting
        if channel is None or link is None or not channel.is_open:
            return
        window, window_bytes = self._limits.window, self._limits.window_bytes
        while waiting and self._in_flight < window and self._bytes < window_bytes:
            if link.blocked:
                return
            entry = waiting[0]
            delayed = entry.publication.due is not None and not entry.finished
            if delayed and not self._delays_are_ready(link):
                return
            waiting.popleft()
            if not entry.finished and not (self._detours.routes and self._detours.take(entry)):
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
            channel.publish(
                publication, lambda verdict, text: self._settled(entry, channel, verdict, text)
            )
            entry.sent = True
        except InvalidMessage as error:
            self._leave_window(entry)
            self._batches.pop(entry.batch, None)
            entry.batch.end(error)

    def _settled(self, entry: Entry, channel: PublishChannel, verdict: Verdict, text: str) -> None:
        if self._left and channel in self._left:
            if verdict is Verdict.CONFIRMED and entry.finish(None):
                self._batches.pop(entry.batch, None)
            return
        self._answers += 1
        if entry.in_window:
            entry.in_window = False
            self._in_flight -= 1
            self._bytes -= len(entry.publication.body)
        else:
            self._overdue.pop(entry, None)
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
            self._batches.pop(entry.batch, None)
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
                    self._overdue[entry] = None
            self._batches.pop(batch, None)
        if late:  # without a connection nothing else would take them out
            kept = [entry for entry in self._waiting if not entry.finished]
            self._waiting.clear()
            self._waiting.extend(kept)
        if self._waiting and late:
            self._pump()
        if self._batches:
            self._set_timer(min(batch.deadline for batch in self._batches))

    def _look_at_channel(self) -> None:
        """Leave the channel if it has answered nothing, or not all, for too long.

        What its broker has taken, and not confirmed, is in memory there and here; and a queue
        without a majority holds back all that comes on the same channel.
        """
        self._look = None
        self._detours.look()
        if not (self._batches or self._overdue or self._detours.routes):
            return
        self._look = self._loop.call_later(self._watch.interval, self._look_at_channel)
        channel, link, now = self._channel, self._link, monotonic()
        waits = self._in_flight or self._overdue
        if channel is None or link is None or link.blocked or not waits:
            self._watch.reset(self._answers, now)
        elif self._may_detour and self._watch.stalled(self._answers, now):
            self._leave(channel, link)
        elif self._watch.oldest(self._overdue, self._batches, now) >= self._limits.unconfirmed:
            _log.warning(
                "publisher: the broker has left publications unconfirmed for %.0f s, and gets a "
                "new channel (a queue or stream without a majority of its nodes confirms nothing)",
                self._limits.unconfirmed,
            )
            self._given_up, self._channel = channel, None
            self._wake.set()

    def _leave(self, channel: PublishChannel, link: Link) -> None:
        """Go on over a new connection; what had no answer is sent again, first, in order."""
        under_way = [one for batch in self._batches for one in batch.entries if one.in_window]
        routes = self._detours.blame([*self._overdue, *under_way])
        _log.warning(
            "publisher: the broker confirms nothing of what was published to %s; other "
            "publications go over a new connection (a queue or stream without a majority of its "
            "nodes confirms nothing)",
            ", ".join(key or exchange for exchange, key in routes[:5]),
        )
        for entry in under_way:
            self._leave_window(entry)
            entry.unanswered = True
        self._waiting.extendleft(reversed(under_way))
        self._left.add(channel)
        self._channel = self._link = None
        closing = self._loop.create_task(link.close(), name="rmqwork-leave")
        self._leaving.add(closing)
        closing.add_done_callback(self._leaving.discard)
        self._wake.set()

    def _make_detour(self) -> Publisher:
        return Publisher(
            self._connector,
            self._plan,
            f"{self._name} (detour)",
            clock=self._clock,
            limits=replace(self._limits, window=self._limits.detour_window),
            detours=False,
        )

    def _detour_answered(self, entry: Entry, error: BaseException | None) -> None:
        if isinstance(error, PublishError):
            error.may_have_arrived = error.may_have_arrived or entry.unanswered
        elif error is not None:
            self._batches.pop(entry.batch, None)
            entry.batch.end(error)
            return
        if isinstance(error, PublishTimeout):
            sent, timeout = error.may_have_arrived, entry.batch.timeout
            error = too_late(entry.publication, timeout, sent, False, None, stalled=True)
        if entry.finish(error):
            self._batches.pop(entry.batch, None)

    def _too_late(self, entry: Entry) -> PublishError:
        problem = None
        if not self.connected:
            problem = str(self._problem or f"no connection to {self._connector.label}")
        blocked = self._link is not None and self._link.blocked
        sent = entry.sent or self._detours.sent(entry)
        stalled = self._detours.holds(entry)
        if stalled:
            problem = None
        return too_late(entry.publication, entry.batch.timeout, sent, blocked, problem, stalled)
