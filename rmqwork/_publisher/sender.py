"""How an app's publications reach the broker: one port a process, blocking and async verbs."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Final, Protocol

from rmqwork._publisher import await_future
from rmqwork._transport.port import PublishPort
from rmqwork.errors import (
    BrokerBlocked,
    BrokerUnavailable,
    ConfigurationError,
    PublishError,
    PublishTimeout,
)
from rmqwork.types import Publication

CHUNK: Final = 1000
"""Publications that are submitted together; each chunk has the whole timeout."""
_AHEAD: Final = 4
_MARGIN: Final = 10.0
_REMIND_AFTER: Final = 0.5
"""Seconds without an answer after which the I/O thread is woken again."""
_ENDS_THE_CALL: Final = (BrokerUnavailable, BrokerBlocked, PublishTimeout)

Answer = Future[list[PublishError | None]]


class BlockingCallWarning(RuntimeWarning):
    """A verb that waits was called on a running event loop, which stands still meanwhile."""


_warned: set[str] = set()


def warn_on_loop(verb: str, twin: str, depth: int = 4) -> None:
    """Warn, once a verb, if there is a running event loop in this thread.

    Args:
        verb: what was called.
        twin: what should have been.
        depth: how many frames up the caller's line is.
    """
    if asyncio._get_running_loop() is None or verb in _warned:
        return
    _warned.add(verb)
    warnings.warn(
        f"{verb}() waits for the broker and blocks the running event loop; use `await {twin}()`",
        BlockingCallWarning,
        stacklevel=depth,
    )


class PublishHooks(Protocol):
    """What looks at publications on their way: the app's middleware."""

    def publishing(self, publication: Publication) -> Publication:
        """Return the publication that is to be sent."""
        ...

    def published(self, publication: Publication) -> None:
        """Take note of a confirm."""
        ...


class Sender:
    """Publishes for one app.

    Args:
        make: gives the app's own port, on first use.
        hooks: called before each publication is sent, and after it is confirmed.
    """

    def __init__(self, make: Callable[[], PublishPort], hooks: PublishHooks) -> None:
        self._make = make
        self._hooks = hooks
        self._port: PublishPort | None = None
        self._pid = os.getpid()
        self._made: dict[int, PublishPort] = {}
        """The app's own port by process: that of a parent is kept, so that nothing closes it."""

    @property
    def port(self) -> PublishPort:
        """Where publications go. A forked child has a port of its own."""
        port = self._port
        if port is not None and self._pid == os.getpid():
            return port
        # No lock: whoever is interrupted here by a signal handler or __del__ that publishes would
        # hold it, and so might a thread that a fork leaves behind. Two may make a port; one stays.
        pid = os.getpid()
        port = self._made.get(pid)
        if port is None:
            port = self._made.setdefault(pid, self._make())
        self._port, self._pid = port, pid
        return port

    @property
    def in_worker(self) -> bool:
        """Whether publications go to a worker process."""
        return self._pid == os.getpid() and bool(getattr(self._port, "in_worker", False))

    def use(self, port: PublishPort | None) -> None:
        """Publish by this port from now on, in this process; None = by the app's own."""
        self._port, self._pid = port, os.getpid()

    def send(self, publication: Publication, timeout: float) -> str:
        """Publish one message and wait for its confirm; returns its id.

        Raises:
            PublishError: it was not confirmed.
        """
        publication = self._hooks.publishing(publication)
        port = self.port
        future = port.submit((publication,), timeout)
        return self._confirmed(publication, _wait(port, future, timeout, (publication,)))

    async def asend(self, publication: Publication, timeout: float) -> str:
        """`send` for asyncio."""
        _check_loop()
        publication = self._hooks.publishing(publication)
        future = self.port.submit((publication,), timeout)
        return self._confirmed(publication, await _await(future, timeout, (publication,)))

    def send_many(self, publications: Sequence[Publication], timeout: float) -> list[str]:
        """Publish many, pipelined, and wait for all confirms; returns their ids.

        Raises:
            PublishError: with the ``failures`` of those that were not confirmed.
        """
        work = _Bulk([self._hooks.publishing(one) for one in publications])
        port = self.port
        pending: deque[tuple[Sequence[Publication], Answer]] = deque()
        while True:
            while len(pending) < _AHEAD and (chunk := work.chunk()):
                pending.append((chunk, port.submit(chunk, timeout)))
            if not pending:
                return work.end()
            chunk, future = pending.popleft()
            self._settle(work, chunk, _wait(port, future, timeout, chunk))

    async def asend_many(self, publications: Sequence[Publication], timeout: float) -> list[str]:
        """`send_many` for asyncio."""
        _check_loop()
        work = _Bulk([self._hooks.publishing(one) for one in publications])
        port = self.port
        pending: deque[tuple[Sequence[Publication], Answer]] = deque()
        while True:
            while len(pending) < _AHEAD and (chunk := work.chunk()):
                pending.append((chunk, port.submit(chunk, timeout)))
            if not pending:
                return work.end()
            chunk, future = pending.popleft()
            self._settle(work, chunk, await _await(future, timeout, chunk))

    def close(self, timeout: float) -> int:
        """Flush what was submitted and disconnect; returns how many were not confirmed."""
        port = self._port
        if port is None or self._pid != os.getpid():
            return 0
        self._port = None
        self._made.pop(self._pid, None)
        return port.close(timeout)

    def _settle(
        self, work: _Bulk, chunk: Sequence[Publication], results: Sequence[PublishError | None]
    ) -> None:
        for publication, error in zip(chunk, results, strict=True):
            if error is None:
                self._hooks.published(publication)
            else:
                work.fail(publication, error)

    def _confirmed(self, publication: Publication, results: Sequence[PublishError | None]) -> str:
        (error,) = results
        if error is not None:
            if error.task_id is None:
                error.task_id = publication.message_id
            raise error
        self._hooks.published(publication)
        return publication.message_id


class _Bulk:
    """The publications of one call with many, and what became of them."""

    def __init__(self, publications: Sequence[Publication]) -> None:
        self._all = publications
        self._left: Iterator[Publication] = iter(publications)
        self._failures: dict[str, PublishError] = {}
        self._ended_by: PublishError | None = None

    def chunk(self) -> Sequence[Publication]:
        """The next ones to submit; nothing when all are, or when it makes no sense to go on."""
        if self._ended_by is not None:
            return ()
        return tuple(islice(self._left, CHUNK))

    def fail(self, publication: Publication, error: PublishError) -> None:
        """Note one that was not confirmed."""
        self._failures[publication.message_id] = error
        if isinstance(error, _ENDS_THE_CALL):
            self._ended_by = error

    def end(self) -> list[str]:
        """The ids, if all were confirmed."""
        for publication in self._left:  # only if the call was ended early
            self._failures[publication.message_id] = PublishError(
                f"it was not sent: {self._ended_by}", task_id=publication.message_id
            )
        if self._failures:
            first = next(iter(self._failures.values()))
            raise PublishError(
                f"{len(self._failures)} of {len(self._all)} messages were not confirmed; "
                f"`failures` has the error of each id, the first is: {first}",
                may_have_arrived=any(e.may_have_arrived for e in self._failures.values()),
                failures=self._failures,
            )
        return [publication.message_id for publication in self._all]


def _wait(
    port: PublishPort, future: Answer, timeout: float, publications: Sequence[Publication]
) -> Sequence[PublishError | None]:
    try:
        return future.result(_REMIND_AFTER)
    except TimeoutError:
        remind = getattr(port, "remind", None)
        if remind is not None:
            remind()
    try:
        return future.result(timeout + _MARGIN)
    except TimeoutError:
        return _no_answer(publications)


def _check_loop() -> None:
    """See, before anything is sent, that its answer can be awaited."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "nothing was published: the verbs with an a (adelay, apublish, …) need a running "
            "asyncio event loop; under trio, call the blocking verb in a thread: "
            "await trio.to_thread.run_sync(task.delay, …)"
        ) from None


async def _await(
    future: Answer, timeout: float, publications: Sequence[Publication]
) -> Sequence[PublishError | None]:
    try:
        return await await_future.wait(future, timeout + _MARGIN)
    except TimeoutError:
        return _no_answer(publications)


def _no_answer(publications: Sequence[Publication]) -> list[PublishError | None]:
    return [
        PublishTimeout(
            f"the publisher gave no answer for {one.message_id}; the message may have arrived",
            task_id=one.message_id,
            may_have_arrived=True,
        )
        for one in publications
    ]
