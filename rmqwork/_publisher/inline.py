"""Publish without the I/O thread: in the caller's thread, over a connection of its own.

Slower (a connection for each call), and possible where the I/O thread cannot be waited for: after
the exit hook, where Python starts no thread any more, and in the I/O thread itself.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Final

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._topology.topology import Declaration
from rmqwork._transport.log_relay import logs_relayed
from rmqwork._transport.port import Connector
from rmqwork.errors import BrokerUnavailable

_CLOSE_TIMEOUT: Final = 2.0
_MAX_DEPTH: Final = 2
"""A signal handler may interrupt an inline publish with one of its own; what goes deeper calls
itself: an audit hook that publishes, whose connection is audited."""
_depth = threading.local()


def publish_inline(
    connector: Connector,
    plan: Sequence[Declaration],
    name: str,
    batch: Batch,
    *,
    longest: float | None = None,
    deepest: int = _MAX_DEPTH,
) -> None:
    """Publish a batch and wait for its end; its future has the answer, or why there is none.

    Args:
        connector: opens the connection.
        plan: what must exist.
        name: shown in the broker's list of connections.
        batch: what to publish.
        longest: seconds at most, whatever the batch's deadline is.
        deepest: inline publishes of this thread that may be under way, this one among them.
    """
    depth = getattr(_depth, "value", 0)
    if sys.is_finalizing():
        batch.end(
            BrokerUnavailable(
                "nothing was published: the interpreter has ended; the last that can publish are "
                "functions registered with atexit"
            )
        )
        return
    if depth >= deepest:
        batch.end(
            BrokerUnavailable(
                "nothing was published: this code was called by a publish of the same thread (from "
                "an audit hook, __del__, a signal handler), and publishes itself"
            )
        )
        return
    if longest is not None:
        batch.deadline = min(batch.deadline, monotonic() + longest)
    _depth.value = depth + 1
    try:
        with _outside_of_loops(), logs_relayed():
            _run(connector, plan, name, batch)
    finally:
        _depth.value = depth
        if not batch.future.done():
            batch.end(BrokerUnavailable("nothing was published: the call was interrupted"))


def _run(connector: Connector, plan: Sequence[Declaration], name: str, batch: Batch) -> None:
    loop = asyncio.SelectorEventLoop()  # whatever the policy: this one nests in any other
    try:
        loop.run_until_complete(_publish(connector, plan, name, batch))
    except Exception as error:
        if not batch.future.done():
            batch.end(BrokerUnavailable(f"nobody knows whether it was published: {error}"))
    finally:
        loop.close()


async def _publish(
    connector: Connector, plan: Sequence[Declaration], name: str, batch: Batch
) -> None:
    publisher = Publisher(connector, plan, name)
    publisher.submit(batch)
    with suppress(Exception):  # the caller finds it in the future
        await asyncio.wrap_future(batch.future)
    await publisher.close(_CLOSE_TIMEOUT)


@contextmanager
def _outside_of_loops() -> Iterator[None]:
    """Let another event loop run in this thread while the one that runs here stands still."""
    running = asyncio._get_running_loop()
    if running is None:
        yield
        return
    task = asyncio.current_task(running)
    if task is not None:
        asyncio.tasks._leave_task(running, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(running)
        if task is not None:
            asyncio.tasks._enter_task(running, task)
