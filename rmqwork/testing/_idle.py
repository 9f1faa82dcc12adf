"""Whether there is anything left to do: in a broker in memory exactly, in a real one by looking."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from rmqwork._messages import headers as names
from rmqwork._topology import delays
from rmqwork._topology import join_queues as shards
from rmqwork._transport.connecting import connect
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork._transport.port import Connector, Link
from rmqwork._workflows.join_messages import Kind

if TYPE_CHECKING:
    from rmqwork._tasks.app import App
    from rmqwork._transport.memory.broker import MemoryBroker
    from rmqwork._transport.memory.queues import MemoryQueue

T = TypeVar("T")
_QUIET: Final = 0.2
_POLL_INTERVAL: Final = 0.02


class Observed(Protocol):
    """The part of a `TestWorker` that tells whether it has anything left to do."""

    @property
    def app(self) -> App:
        """The app whose tasks it runs."""
        ...

    @property
    def busy(self) -> bool:
        """Whether it holds a delivery."""
        ...

    @property
    def join_queues(self) -> Sequence[str]:
        """The queues of its joins."""
        ...


def wait_until_idle(
    worker: Observed,
    queues: Sequence[str],
    timeout: float,
    quiet: float | None = None,
    *,
    delayed: bool = False,
) -> None:
    """Wait until nothing runs and nothing waits; see `TestWorker.wait_until_idle`.

    Args:
        worker: that works on the queues.
        queues: the broker's names of them.
        timeout: seconds.
        quiet: seconds for which it must stay so.
        delayed: whether the delay queues of a real broker must be empty, too.

    Raises:
        TimeoutError: it is not so in time.
    """
    connector = connector_of(worker)
    if isinstance(connector, MemoryConnector):
        broker = connector.broker
        idle = broker.wait_until(lambda: idle_in_memory(broker, queues), timeout)
    else:
        names = [*queues, *_ladder()] if delayed else list(queues)
        length = _QUIET if quiet is None else quiet
        idle = run(_real(worker, connector, names, timeout, length))
    if not idle:
        raise TimeoutError(
            f"after {timeout:g} s something still runs or waits in {', '.join(queues)}"
        )


def connector_of(worker: Observed) -> Connector:
    """Where the worker's connections come from."""
    settings = worker.app.settings
    return connect(settings.broker, settings.heartbeat)


def idle_in_memory(broker: MemoryBroker, queues: Sequence[str]) -> bool:
    """Whether these queues hold nothing, neither ready nor unacked."""
    found = [broker.queues[name] for name in queues if name in broker.queues]
    joins = [broker.queues[name] for name in shards.names() if name in broker.queues]
    return not (
        any(len(queue) or queue.unacked for queue in found)
        or any(len(queue) or _joins(queue) for queue in joins)
    )


def _joins(queue: MemoryQueue) -> bool:
    """Whether a group is being joined in a shard, or about to be; one that lacks a member is not,
    and neither is what is kept of one that has ended."""
    told: dict[str, set[object]] = {}
    for entry in queue.unacked:
        content = entry.message.content
        kind = content.headers.get(names.JOIN)
        what = content.headers.get(names.INDEX) if kind == Kind.PART else kind
        told.setdefault(content.message_id, set()).add(what)
        if kind == Kind.OPEN:
            told[content.message_id].add(("size", json.loads(content.body)["size"]))
    for known in told.values():
        size = next((item[1] for item in known if isinstance(item, tuple)), None)
        indexes = sum(isinstance(item, int) for item in known)
        if Kind.FENCE in known or (size is not None and (Kind.FAILED in known or indexes >= size)):
            return True
    return False


def _ladder() -> list[str]:
    return [delays.level_name(level) for level in range(delays.LEVELS)]


async def _real(
    worker: Observed, connector: Connector, queues: Sequence[str], timeout: float, quiet: float
) -> bool:
    """Look again and again; a broker's counts lag, and a message may be between two queues."""
    link = await connector.open("rmqwork test")
    end, since = time.monotonic() + timeout, time.monotonic()
    try:
        while time.monotonic() < end:
            if worker.busy or await _any_waits(link, [*queues, *worker.join_queues]):
                since = time.monotonic()
            elif time.monotonic() - since >= quiet:
                return True
            await asyncio.sleep(_POLL_INTERVAL)
        return False
    finally:
        await link.close()


async def _any_waits(link: Link, queues: Sequence[str]) -> bool:
    for queue in queues:
        depth = await link.depth(queue)
        if depth is not None and depth.messages:
            return True
    return False


def run(work: Awaitable[T]) -> T:
    """Run something async from wherever we are, also from inside an event loop's thread."""

    async def wait() -> T:
        return await work

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    return in_thread(lambda: asyncio.run(wait()))


def in_thread(call: Callable[[], T]) -> T:
    """Run something in a thread of its own, and wait for it."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
