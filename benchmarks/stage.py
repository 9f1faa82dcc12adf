"""What contenders share: settings from the environment, the bodies of the tasks, the measuring.

Standard library only: it is imported in the environment of every peer.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.marks import Marks

URL = os.environ.get("BENCH_URL", "amqp://guest:guest@localhost:5672/")
RELIABLE = os.environ.get("BENCH_SETTINGS", "reliable") == "reliable"
"""Quorum queue, persistent, confirms, ack after execution; otherwise: as it comes."""
PROCESSES = int(os.environ.get("BENCH_PROCESSES", "1"))
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "8"))
QUEUES = int(os.environ.get("BENCH_QUEUES", "1"))
FIRST = int(os.environ.get("BENCH_FIRST", "0"))
"""The number of the first message, where many are published at once."""
COUNTDOWN = float(os.environ.get("BENCH_COUNTDOWN", "0"))
QUEUE = "bench"
THREADS = 16
ONE_BY_ONE = 1000
"""Messages a second that somebody who waits for each confirm can be asked to publish."""

_marks: Marks | None = None


def marks() -> Marks:
    """The marks of this run."""
    global _marks
    if _marks is None:
        _marks = Marks(Path(os.environ["BENCH_MARKS"]))
    return _marks


# ── the bodies of the tasks ───────────────────────────────────────────────────────────────────


def noop(n: int) -> None:
    """Nothing but its mark."""
    marks().done[n] = time.monotonic()


def burn(n: int) -> None:
    """20 ms of CPU time of this thread."""
    end = time.thread_time() + 0.020
    while time.thread_time() < end:
        pass
    noop(n)


def sleep(n: int) -> None:
    """50 ms of waiting."""
    time.sleep(0.050)
    noop(n)


async def asleep(n: int) -> None:
    """50 ms of waiting, on an event loop."""
    await asyncio.sleep(0.050)
    noop(n)


class FirstTime(Exception):
    """Each task of the retry storm fails once."""


def fail_once(n: int) -> None:
    """Fail at first; the second run is the end."""
    done = marks().done
    if not done[n]:
        done[n] = -1.0
        raise FirstTime
    done[n] = time.monotonic()


KINDS = {"noop": noop, "burn": burn, "sleep": sleep, "fail": fail_once}


# ── publishing ────────────────────────────────────────────────────────────────────────────────

Send = Callable[[str, int, str], Any]
"""Publish one message: kind of the task, number, filling; returns when it is confirmed."""


class Publishers:
    """How a contender publishes.

    Args:
        send: publishes one message, blocking; or None.
        asend: the same for asyncio; or None.
        many: publishes many at once, in a way of its own: ``(kind, numbers, filling)``.
        opened: called (and awaited) in the loop before ``asend``.
        closed: the same afterwards; without ``asend`` in the main thread.
    """

    def __init__(
        self,
        send: Send | None = None,
        asend: Callable[[str, int, str], Awaitable[Any]] | None = None,
        many: Callable[[str, range, str], Any] | None = None,
        opened: Callable[[], Any] | None = None,
        closed: Callable[[], Any] | None = None,
    ) -> None:
        self.send = send
        self.asend = asend
        self.many = many
        self.opened = opened
        self.closed = closed

    def run(self, mode: str, kind: str, count: int, filling: str) -> float:
        """Publish; returns the seconds that it took, without connecting."""
        modes = {
            "each": self._each,
            "many": self._many,
            "gather": self._gather,
            "threads": self._threads,
            "paced": self._paced,
            "fill": self._fill,
        }
        return modes[mode](kind, count, filling)

    def _each(self, kind: str, count: int, filling: str) -> float:
        if self.send is None:
            return self._in_loop(self._aeach, kind, count, filling)
        self._warm_up()
        start = time.perf_counter()
        for n in range(count):
            self.send(kind, n, filling)
        return time.perf_counter() - start

    async def _aeach(self, kind: str, count: int, filling: str) -> float:
        assert self.asend is not None
        start = time.perf_counter()
        for n in range(count):
            await self.asend(kind, n, filling)
        return time.perf_counter() - start

    def _many(self, kind: str, count: int, filling: str) -> float:
        assert self.many is not None
        self._warm_up()
        start = time.perf_counter()
        self.many(kind, range(FIRST, FIRST + count), filling)
        return time.perf_counter() - start

    def _gather(self, kind: str, count: int, filling: str) -> float:
        return self._in_loop(self._agather, kind, count, filling)

    async def _agather(self, kind: str, count: int, filling: str) -> float:
        """As many as the peer likes best: 1,000 in flight."""
        assert self.asend is not None
        asend = self.asend
        start = time.perf_counter()
        for first in range(0, count, 1000):
            chunk = range(first, min(count, first + 1000))
            await asyncio.gather(*(asend(kind, n, filling) for n in chunk))
        return time.perf_counter() - start

    def _threads(self, kind: str, count: int, filling: str) -> float:
        assert self.send is not None
        send, ready = self.send, threading.Barrier(THREADS)

        def share(first: int) -> tuple[float, float]:
            self._warm_up()
            ready.wait()
            start = time.perf_counter()
            for n in range(first, count, THREADS):
                send(kind, n, filling)
            return start, time.perf_counter()

        with ThreadPoolExecutor(THREADS) as pool:
            spans = list(pool.map(share, range(THREADS)))
        return max(end for _, end in spans) - min(start for start, _ in spans)

    def _paced(self, kind: str, count: int, filling: str) -> float:
        """Open loop at ``BENCH_RATE`` a second; notes when each was due."""
        rate = float(os.environ["BENCH_RATE"])
        too_fast = rate > ONE_BY_ONE and self.asend is not None
        if self.send is None or too_fast:
            return self._in_loop(self._apaced, kind, count, filling)
        self._warm_up()
        due, step = marks().due, 1 / rate
        start = time.monotonic() + 0.1
        for n in range(count):
            at = due[n] = start + n * step
            if (wait := at - time.monotonic()) > 0:
                time.sleep(wait)
            self.send(kind, n, filling)
        return time.monotonic() - start

    async def _apaced(self, kind: str, count: int, filling: str) -> float:
        assert self.asend is not None
        due, step = marks().due, 1 / float(os.environ["BENCH_RATE"])
        start = time.monotonic() + 0.1
        under_way = set()
        for n in range(count):
            at = due[n] = start + n * step
            if (wait := at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(self.asend(kind, n, filling))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        return time.monotonic() - start

    def _fill(self, kind: str, count: int, filling: str) -> float:
        """Whatever is quickest."""
        if self.many is not None:
            return self._many(kind, count, filling)
        if self.asend is not None:
            return self._gather(kind, count, filling)
        return self._threads(kind, count, filling)

    def _warm_up(self) -> None:
        if self.opened is not None and inspect.isawaitable(wait := self.opened()):
            asyncio.run(_awaited(wait))

    def _in_loop(self, run: Callable[..., Awaitable[float]], *arguments: object) -> float:
        async def inner() -> float:
            if self.opened is not None and inspect.isawaitable(wait := self.opened()):
                await wait
            try:
                return await run(*arguments)
            finally:
                if self.closed is not None and inspect.isawaitable(wait := self.closed()):
                    await wait

        return asyncio.run(inner())


async def _awaited(awaitable: Awaitable[Any]) -> None:
    await awaitable


def main(publishers: Publishers, worker: Callable[[], Any] | None = None) -> None:
    """The command line of a contender.

    Args:
        publishers: how it publishes.
        worker: works until it is stopped.
    """
    if sys.argv[1] == "worker":
        assert worker is not None
        worker()
        return
    mode, kind, count, size = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    # The filling repeats, and does not compress to nothing where somebody compresses.
    filling = ("0123456789abcdef" * (size // 16 + 1))[:size]
    before = os.times()
    wall = time.perf_counter()
    seconds = publishers.run(mode, kind, count, filling)
    wall = time.perf_counter() - wall
    after = os.times()
    if publishers.send is not None and publishers.closed is not None:
        publishers.closed()  # what was sent without confirms is lost if the socket just ends
    cpu = (after.user - before.user) + (after.system - before.system)
    report: Mapping[str, object] = {"count": count, "seconds": seconds, "cpu": cpu, "wall": wall}
    print(json.dumps(report), flush=True)
    os._exit(0)  # connections of threads that have ended are nobody's to close
