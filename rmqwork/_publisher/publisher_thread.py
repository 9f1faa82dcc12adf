"""One I/O thread a process: any thread and any event loop may publish through it.

Publishing must end wherever Python calls it: a signal handler, ``__del__`` or a hook may interrupt
this code at any line and publish, and another thread may fork. So no lock is held here; what must
happen once is claimed by one atomic step, and nobody waits for a thread that it has yet to start.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
import threading
import weakref
from _thread import get_ident
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.inline import publish_inline
from rmqwork._publisher.publisher import Publisher
from rmqwork._publisher.waker import LoopWaker
from rmqwork._topology.topology import Declaration
from rmqwork._transport import log_relay
from rmqwork._transport.log_relay import reserved
from rmqwork._transport.port import Connector
from rmqwork.errors import BrokerUnavailable, PublishError
from rmqwork.types import Publication

_log = logging.getLogger("rmqwork.publisher")
_EXIT_TIMEOUT: Final = 30.0
_IN_IO_THREAD: Final = 5.0
"""Seconds that a publish in the I/O thread itself may take: all others wait meanwhile."""
_live: weakref.WeakSet[ThreadedPublisher] = weakref.WeakSet()
_parents: list[object] = []
"""Loops and threads of the parent, kept in a forked child so that nothing finalises them there."""
_exit_hook_ran = False


class ThreadedPublisher:
    """A `Publisher` in a thread of its own; implements `rmqwork._transport.port.PublishPort`.

    The thread and the connection begin with the first publication. A forked child begins anew.
    After the exit hook, in the I/O thread itself, and where no thread can be started, a publication
    goes over a connection of its own, in the caller's thread (`publish_inline`).

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
        self._pid = os.getpid()
        self._io: _IoThread | None = None
        """The thread, from when it runs until nothing more is to be given to it."""
        self._begun: dict[int, _IoThread] = {}
        """The thread, under 0, once one is about to be started."""
        self._threadless = False
        self._closed = False

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        """Publish; see `rmqwork._transport.port.PublishPort.submit`."""
        batch = Batch(publications, timeout)
        io = self._io
        if io is None or get_ident() in reserved:
            self._submit_otherwise(batch)
        else:
            io.inbox.append(batch)
            io.waker.ring()
        return batch.future

    def remind(self) -> None:
        """Wake the I/O thread once more, for a caller that has waited for long. A handler or a
        profiler may have stopped the thread that was about to wake it, and wait itself."""
        io = self._begun.get(0)
        if io is not None:
            io.waker.ring_anyhow()

    def _submit_otherwise(self, batch: Batch) -> None:
        """Submit before the I/O thread runs, in it, and after it."""
        if self._closed:
            batch.end(BrokerUnavailable("this app was closed; publish before App.close()"))
        elif log_relay.in_relay():
            batch.end(
                BrokerUnavailable(
                    "nothing was published: this is called by a log handler for what the publisher "
                    "itself has logged, and that does not come back to it; leave the loggers "
                    "rmqwork.publisher, rmqwork.transport, rmqwork.results, pika and asyncio out"
                )
            )
        elif get_ident() in reserved:
            self._inline(batch, longest=_IN_IO_THREAD, deepest=1)
        elif self._threadless or _exit_hook_ran:
            self._inline(batch)
        else:
            self._submit_to_begun(batch)

    def _submit_to_begun(self, batch: Batch) -> None:
        io = self._begun.get(0)
        if io is None:
            made = _IoThread(self)
            io = self._begun.setdefault(0, made)
            if io is not made:
                made.discard()
        if (
            io.starter == get_ident()  # this code has interrupted the start of the thread
            or io.is_this_thread()
            or log_relay.holds_logging_lock()
        ):
            self._inline(batch)
            return
        io.inbox.append(batch)
        io.waker.ring()
        if not io.claim_start():
            return
        try:
            io.start()
        except RuntimeError as error:  # the interpreter is ending, or there are too many threads
            _log.debug("publisher: no thread can be started: %s", error)
            self._threadless = True
            self._begun.pop(0, None)
            while io.inbox:
                self._inline(io.inbox.popleft())
            io.discard()

    def _inline(self, batch: Batch, longest: float | None = None, deepest: int = 2) -> None:
        publish_inline(
            self._connector, self._plan, self._name, batch, longest=longest, deepest=deepest
        )

    def close(self, timeout: float) -> int:
        """Wait for what was submitted, then disconnect; returns how many were not confirmed."""
        self._closed = True
        return self.flush(timeout)

    def flush(self, timeout: float) -> int:
        """Wait for what was submitted, then end the thread; returns how many were not confirmed.

        What is submitted from now on goes over connections of its own.
        """
        self._threadless = True
        self._io = None
        io = self._begun.pop(0, None)
        if io is None or self._pid != os.getpid() or io.ident == get_ident():
            return 0
        return io.end(timeout)

    def _in_forked_child(self) -> None:
        if self._pid == os.getpid():
            return  # made by a hook of the application's that came before ours
        for io in self._begun.values():
            io.release()
        _parents.append(dict(self._begun))
        self._begin_anew()


class _IoThread:
    """The thread, its event loop, and what was submitted to it.

    Args:
        owner: whose publications it takes.
    """

    def __init__(self, owner: ThreadedPublisher) -> None:
        self.inbox: deque[Batch] = deque()
        self.ident = 0
        self.starter = 0
        """The thread that is starting it."""
        self._owner = weakref.ref(owner)
        self._connector, self._plan, self._name = owner._connector, owner._plan, owner._name
        self._claims = [True]
        self._publisher: Publisher | None = None
        self._thread: threading.Thread | None = None
        self._runs = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waker = LoopWaker(self._take)

    def claim_start(self) -> bool:
        """Whether the caller, and nobody else, is to start it."""
        try:
            self.starter = self._claims.pop() and get_ident()
        except IndexError:
            return False
        return True

    def is_this_thread(self) -> bool:
        """Whether it is the caller's, which it is not yet in: a tracer sees its first steps."""
        return self._thread is not None and self._thread.ident == get_ident()

    def start(self) -> None:
        """Start the thread; it may run before or after this returns.

        Raises:
            RuntimeError: no thread can be started.
        """
        thread = threading.Thread(target=self._main, name="rmqwork-publisher", daemon=True)
        self._thread = thread
        try:
            thread.start()
        finally:
            self.starter = 0

    def end(self, timeout: float) -> int:
        """Wait for what was submitted, disconnect, end the thread."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return sum(batch.open for batch in self.inbox)
        self._runs.wait(timeout)
        loop = self._loop
        if loop is None:  # this code has interrupted the start of the thread
            return sum(batch.open for batch in self.inbox)
        closing = asyncio.run_coroutine_threadsafe(self._close(timeout), loop)
        try:
            left = closing.result(timeout + 5)
        except TimeoutError:
            left = 0 if self._publisher is None else self._publisher.backlog
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        return left

    def discard(self) -> None:
        """Close what was made for a thread that does not start."""
        self.waker.close()

    def release(self) -> None:
        """In a forked child: let go of the parent's descriptors."""
        if self._publisher is not None:
            self._publisher.release()
        self.waker.release()

    async def _close(self, timeout: float) -> int:
        self._take()
        assert self._publisher is not None
        return await self._publisher.close(timeout)

    def _main(self) -> None:
        # Tracers and profilers of all threads would run in this one, for each line, and publish.
        sys.settrace(None)
        sys.setprofile(None)
        self.ident = get_ident()
        reserved.add(self.ident)
        loop = asyncio.new_event_loop()  # here: asyncio logs that it is made
        asyncio.set_event_loop(loop)
        loop.call_soon(self._open, loop)
        try:
            loop.run_forever()
        finally:
            reserved.discard(self.ident)
            self.waker.close()
            loop.close()

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._publisher = Publisher(self._connector, self._plan, self._name)
        self.waker.listen(loop)
        self._loop = loop
        self._runs.set()
        owner = self._owner()
        if owner is not None and owner._begun.get(0) is self:
            owner._io = self

    def _take(self) -> None:
        assert self._publisher is not None
        self._publisher.submit_all(self.inbox)


def _forked() -> None:
    for publisher in tuple(_live):
        publisher._in_forked_child()


def _exiting() -> None:
    global _exit_hook_ran
    _exit_hook_ran = True
    for publisher in tuple(_live):
        left = publisher.flush(_EXIT_TIMEOUT)
        if left:
            _log.error(
                "%d publications could not be confirmed before the interpreter ended; they may "
                "or may not have arrived",
                left,
            )
    log_relay.drain()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_exiting)
