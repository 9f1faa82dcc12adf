"""Results as replies over RabbitMQ, to the process that has published the task.

Each process has one reply queue: named, durable, not exclusive, so that it survives a lost
connection and a restart of the broker. It stays bounded: by its length (the oldest go), by the
time that replies are kept, and by its own expiry when nobody reads it any more.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import weakref
from _thread import get_ident
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._messages.ids import uuid7
from rmqwork._results.pending import PendingResult
from rmqwork._results.record import Record, read
from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.log_relay import reserved
from rmqwork._transport.port import Connector, ConsumeChannel, Link
from rmqwork._transport.reconnecting import Reconnecting
from rmqwork.errors import BrokerUnavailable, ConfigurationError, ResultsDisabled
from rmqwork.types import Delivery

_log = logging.getLogger("rmqwork.results")
_PREFETCH: Final = 1000
_MAX_REPLIES: Final = 100_000
_MAX_BYTES: Final = 256 << 20
_KEPT_AFTER_END: Final = (60.0, 1800.0)
_CLOSE_TIMEOUT: Final = 5.0
_live: weakref.WeakSet[RpcResults] = weakref.WeakSet()
_parents: list[object] = []
"""Loops and links of the parent, kept in a forked child so that nothing finalises them there."""


def reply_queue(app: str, ttl: float) -> DeclareQueue:
    """A reply queue with a new name.

    Args:
        app: the app's name.
        ttl: seconds that a reply is kept.
    """
    least, most = _KEPT_AFTER_END
    return DeclareQueue(
        f"rmqwork.replies.{app[:150]}.{uuid7()}",
        {
            "x-queue-type": "classic",
            "x-expires": round(min(max(ttl, least), most) * 1000),
            "x-message-ttl": round(ttl * 1000),
            "x-max-length": _MAX_REPLIES,
            "x-max-length-bytes": _MAX_BYTES,
            "x-overflow": "drop-head",
        },
    )


class RpcResults:
    """A `rmqwork._results.port.ResultBackend` with a connection and a thread of its own.

    Both begin with the first publication that wants a result. What nobody holds an `AsyncResult`
    of any more is dropped when it arrives. Made anew by the app after a fork.

    Args:
        connector: where connections come from.
        app: the app's name.
        ttl: seconds that a reply is kept.
    """

    def __init__(self, connector: Connector, app: str, ttl: float) -> None:
        self._connector = connector
        self._app = app
        self._queue = reply_queue(app, ttl)
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._starting = False
        self._entries: weakref.WeakValueDictionary[str, PendingResult] = (
            weakref.WeakValueDictionary()
        )
        self._ready: Future[None] | None = None
        self._is_ready = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._ended: asyncio.Event | None = None
        self._closing = False
        self.problem = ""
        _live.add(self)

    @property
    def reply_to(self) -> str:
        """The name of the reply queue."""
        return self._queue.name

    def ready(self) -> Future[None] | None:
        """None once the reply queue exists and is read; see the port."""
        if self._is_ready:
            return None
        if self._thread is not None and self._thread.ident == get_ident():
            raise BrokerUnavailable(
                "nothing was published: the thread that receives replies cannot wait for itself"
            )
        with self._lock:
            if self._starting:  # in this thread
                raise BrokerUnavailable(
                    "nothing was published: this code has interrupted the first publish of an app "
                    "with results='rpc://', and cannot wait for what that begins"
                )
            if self._ready is not None:
                return self._ready
            self._starting = True
            try:
                return self._begin()
            finally:
                self._starting = False

    def _begin(self) -> Future[None]:
        ready: Future[None] = Future()
        ready.set_running_or_notify_cancel()
        self._ready = ready  # before the thread looks for it
        self._thread = threading.Thread(target=self._main, name="rmqwork-replies", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._ready = self._thread = None
            raise BrokerUnavailable(
                f"nothing was published: results='rpc://' needs a thread for replies ({error}); "
                "publish once before the program ends, or use another store"
            ) from None
        return ready

    def expect(self, task_id: str, run: str | None = None) -> PendingResult:
        """See the port."""
        if run is not None:  # the id alone is for workers that do not know of runs
            mine = self._entries[run] = self._entries[task_id] = PendingResult(task_id, run)
            return mine
        entry = self._entries.get(task_id)
        if entry is None:
            entry = self._entries[task_id] = PendingResult(task_id)
        return entry

    def entry(self, task_id: str, task: str) -> PendingResult:
        """See the port."""
        entry = self._entries.get(task_id)
        if entry is None:
            raise ResultsDisabled(
                f"task {task!r} ({task_id}): with rpc:// a result goes to the process that has "
                "published the task, while it holds the AsyncResult; to ask from elsewhere, use "
                "results='redis://…' or a database"
            )
        return entry

    def watch(self, entry: PendingResult) -> Future[Record]:
        """See the port."""
        if self._pid != os.getpid():
            raise ResultsDisabled(
                f"task {entry.task_id} was published before this process was forked, and with "
                "rpc:// its result goes to the parent; use results='redis://…' or a database"
            )
        return entry.final

    def latest(self, entry: PendingResult) -> Record | None:
        """What has arrived; see the port."""
        self.watch(entry)
        return entry.latest

    def forget(self, entry: PendingResult) -> None:
        """Drop what still arrives; see the port."""
        for key in (entry.task_id, entry.run):
            if key is not None and self._entries.get(key) is entry:
                del self._entries[key]
        entry.fail(ResultsDisabled(f"the result of {entry.task_id} was forgotten"))

    def close(self) -> None:
        """Delete the reply queue, disconnect; who still waits is told."""
        loop, thread = self._loop, self._thread
        if self._pid != os.getpid() or loop is None or thread is None or not thread.is_alive():
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(_CLOSE_TIMEOUT)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSE_TIMEOUT)
        for entry in list(self._entries.values()):
            entry.fail(ResultsDisabled("this app was closed; its results are gone"))

    # ── in the thread ─────────────────────────────────────────────────────────────────────────

    def _main(self) -> None:
        reserved.add(get_ident())
        loop = self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._task = loop.create_task(self._run())
        try:
            loop.run_forever()
        finally:
            reserved.discard(get_ident())
            loop.close()

    async def _run(self) -> None:
        async for _ in Reconnecting(stopped=lambda: self._closing):
            try:
                await self._connected_once()
            except ConfigurationError as error:
                self.problem = str(error)
                if not self._is_ready and self._ready is not None:
                    ready, self._ready = self._ready, None
                    ready.set_exception(error)
                    asyncio.get_running_loop().stop()
                    return
                _log.error("replies cannot be received: %s", error)
            except Exception as error:
                self.problem = str(error)
                _log.debug("replies: %s", error)

    async def _connected_once(self) -> None:
        """Connect, and take in replies until the connection or the consumer ends."""
        link = self._link = await self._connector.open(f"{self._app} (replies)")
        ended = self._ended = asyncio.Event()

        def end(reason: str) -> None:
            self.problem = reason
            ended.set()

        link.on_lost(end)
        try:
            await link.declare([self._queue])
            channel = await link.open_consuming(end)
            await channel.consume(
                self._queue.name,
                prefetch=_PREFETCH,
                deliver=self._deliver(channel),
                cancelled=end,
            )
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            self._is_ready = True
            await ended.wait()
            if not self._closing:
                _log.warning("replies: %s; connecting again", self.problem)
        finally:
            if link.is_open:
                await link.close()
            self._link = None

    def _deliver(self, channel: ConsumeChannel) -> Callable[[Delivery], None]:
        def deliver(delivery: Delivery) -> None:
            channel.ack(delivery)
            key = delivery.headers.get(names.RUN) or delivery.correlation_id
            entry = self._entries.get(str(key))
            if entry is not None:
                entry.update(read(delivery.body))

        return deliver

    async def _end(self) -> None:
        self._closing, link = True, self._link
        if link is not None and link.is_open:
            with contextlib.suppress(Exception):
                await link.delete_queue(self._queue.name)
        if self._ended is not None:
            self._ended.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=_CLOSE_TIMEOUT / 2)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _in_forked_child(self) -> None:
        if self._link is not None:
            self._link.release()
        _parents.append((self._loop, self._thread, self._task, self._link, self._lock))
        self._lock = threading.RLock()
        self._starting = False


def _forked() -> None:
    for results in tuple(_live):
        results._in_forked_child()


def _exiting() -> None:
    for results in tuple(_live):
        results.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_exiting)
