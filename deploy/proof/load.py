"""A publisher at a steady rate, and what the ledger says of its messages."""

from __future__ import annotations

import asyncio
import random
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from deploy.proof.app import anap, app, nap
from rmqwork._messages.ids import uuid7
from rmqwork.errors import PublishError
from tools.chaos.ledger import LedgerWriter, Line


class Publisher:
    """Publishes naps from a thread of its own until told to stop.

    Args:
        ledger: its path.
        rate: messages a second.
        shortest: seconds of a nap; their logarithms are spread evenly.
        longest: seconds of a nap.
        threads: which part of the naps is in threads.
    """

    def __init__(
        self, ledger: Path, rate: float, shortest: float, longest: float, threads: float = 0.1
    ) -> None:
        self._ledger = LedgerWriter(ledger, "publisher")
        self._rate = rate
        self._naps = (shortest, longest, threads)
        self._stop = threading.Event()
        self._random = random.Random(1)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing more; what is under way is waited for."""
        self._stop.set()
        self._thread.join()
        app.close()
        self._ledger.close()

    async def _main(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._stop.is_set():
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._publish())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _publish(self) -> None:
        shortest, longest, threads = self._naps
        seconds = round(shortest * (longest / shortest) ** self._random.random(), 3)
        task = nap if self._random.random() < threads else anap
        task_id = str(uuid7())
        for _ in range(100):  # a publish that failed is tried again by its application
            self._ledger.attempt(task_id)
            try:
                await task.options(task_id=task_id).adelay(seconds)
            except PublishError as error:
                self._ledger.refuse(task_id, str(error), error.may_have_arrived)
                await asyncio.sleep(0.2)
            else:
                self._ledger.confirm(task_id)
                return


def latencies(
    lines: Iterable[Line], since: float, until: float, first: str = "attempt", last: str = "start"
) -> list[float]:
    """Milliseconds between two lines of a message, of those whose first one is in a window.

    Args:
        lines: of the ledger.
        since: the beginning of the window.
        until: its end.
        first: the kind of line from which on; the publish, unless said otherwise.
        last: the kind of line until which; the first start.
    """
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}
    for line in lines:
        if line.kind == first:
            begins.setdefault(line.id, line.at)
        elif line.kind == last:
            ends.setdefault(line.id, line.at)
    window = ((at, ends[one]) for one, at in begins.items() if since <= at < until and one in ends)
    return sorted(max(0.0, end - at) * 1000 for at, end in window)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which a part of the sorted values lies."""
    return values[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def spread(values: Sequence[float]) -> str:
    """p50, p99 and the largest, in milliseconds."""
    middle = statistics.median(values) if values else 0.0
    worst = values[-1] if values else 0.0
    return f"p50 {middle:.1f} ms, p99 {percentile(values, 0.99):.1f} ms, max {worst:.0f} ms"


def by_worker(lines: Iterable[Line]) -> dict[str, int]:
    """How many runs ended in each container."""
    ends: dict[str, int] = defaultdict(int)
    for line in lines:
        if line.kind == "end":
            ends[line.who.partition("/")[0]] += 1
    return dict(sorted(ends.items()))


def longest_silence(
    lines: Iterable[Line], since: float, until: float, kind: str = "start"
) -> float:
    """Seconds without a line of this kind in a window, at most."""
    seen = [line.at for line in lines if line.kind == kind and since <= line.at <= until]
    return max(after - before for before, after in pairwise([since, *seen, until]))
