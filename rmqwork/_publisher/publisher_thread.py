"""One I/O thread a process: any thread and any event loop may publish through it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._publisher.waker import LoopWaker
from rmqwork._topology.topology import Declaration
from rmqwork._transport.port import Connector
from rmqwork.errors import BrokerUnavailable, PublishError
from rmqwork.types import Publication

_log = logging.getLogger("rmqwork.publisher")
_EXIT_TIMEOUT: Final = 30.0
_live: weakref.WeakSet[ThreadedPublisher] = weakref.WeakSet()
_parents: list[object] = []
"""Loops and threads of the parent, kept in a forked child so that nothing finalises them there."""


class ThreadedPublisher:
    """A `Publisher` in a thread of its own; implements `rmqwork._transport.port.PublishPort`.

    The thread and the connection begin with the first publication. A forked child begins anew.

    Args:
        connector: where connections come from.
        plan: what must exist before the first publication.
        name: shown in the broker's list of connections.
    """

    def __init__(self, connector: Connector, plan: Sequence[Declaration], name: str) -> None:
        self._connector = connector
        self._plan = tuple(plan)
        self._name = name
        self._begin_anew()
        _live.add(self)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._inbox: deque[Batch] = deque()
        self._waker: LoopWaker | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._publisher: Publisher | None = None
        self._closed = False

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        """Publish; see `rmqwork._transport.port.PublishPort.submit`."""
        batch = Batch(publications, timeout)
        if self._closed:
            batch.end(BrokerUnavailable("this app was closed; publish before App.close()"))
            return batch.future
        waker = self._waker or self._start()
        self._inbox.append(batch)
        waker.ring()
        return batch.future

    def close(self, timeout: float) -> int:
        """Wait for what was submitted, then disconnect; returns how many were not confirmed."""
        self._closed = True
        with self._lock:
            loop, thread, publisher = self._loop, self._thread, self._publisher
        if loop is None or thread is None or publisher is None or not thread.is_alive():
            return 0
        closing = asyncio.run_coroutine_threadsafe(self._close(publisher, timeout), loop)
        try:
            left = closing.result(timeout + 5)
        except TimeoutError:
            left = publisher.backlog
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        return left

    async def _close(self, publisher: Publisher, timeout: float) -> int:
        self._take()
        return await publisher.close(timeout)

    def _start(self) -> LoopWaker:
        with self._lock:
            if self._waker is not None:
                return self._waker
            ready = threading.Event()
            loop = asyncio.new_event_loop()
            waker = LoopWaker(loop, self._take)
            self._thread = threading.Thread(
                target=self._main, args=(loop, waker, ready), name="rmqwork-publisher", daemon=True
            )
            self._thread.start()
            ready.wait()
            self._loop, self._waker = loop, waker
            return waker

    def _main(
        self, loop: asyncio.AbstractEventLoop, waker: LoopWaker, ready: threading.Event
    ) -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(self._open, ready)
        try:
            loop.run_forever()
        finally:
            waker.close()
            loop.close()

    def _open(self, ready: threading.Event) -> None:
        self._publisher = Publisher(self._connector, self._plan, self._name)
        ready.set()

    def _take(self) -> None:
        assert self._publisher is not None
        self._publisher.submit_all(self._inbox)

    def _in_forked_child(self) -> None:
        if self._publisher is not None:
            self._publisher.release()
        if self._waker is not None:
            self._waker.release()
        _parents.append((self._loop, self._waker, self._thread, self._publisher))
        self._begin_anew()


def _forked() -> None:
    for publisher in tuple(_live):
        publisher._in_forked_child()


def _exiting() -> None:
    for publisher in tuple(_live):
        left = publisher.close(_EXIT_TIMEOUT)
        if left:
            _log.error(
                "%d publications could not be confirmed before the interpreter ended; they may "
                "or may not have arrived",
                left,
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_exiting)
