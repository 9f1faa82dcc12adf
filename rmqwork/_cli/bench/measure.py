"""What ``rmqwork bench`` measures: publishing, draining, latency."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rmqwork.errors import RmqworkError

if TYPE_CHECKING:
    from rmqwork._tasks.task import Task

_EACH: Final = 500
_RATE: Final = 200
_SECONDS: Final = 5
_TIMEOUT: Final = 120.0
"""Seconds without any progress after which a measurement is given up."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One result.

    Args:
        name: what was measured.
        value: the figure, more is better for ``1/s`` and less for ``ms``.
        unit: ``1/s`` or ``ms``.
    """

    name: str
    value: float
    unit: str


class Bench:
    """One series on one broker, in a queue of its own that is deleted at the end.

    Args:
        broker: addresses, separated by commas.
        tasks: how many messages at most in one measurement.
        size: bytes of a body, about.
        processes: executor processes of the worker.
        say: takes a word on what happens next.
    """

    def __init__(
        self, broker: str, tasks: int, size: int, processes: int, say: Callable[[str], None]
    ) -> None:
        self._tasks = tasks
        self._filling = "x" * max(0, size - 24)
        self._processes = processes
        self._say = say
        os.environ["RMQWORK_BROKER"] = broker
        # By name, before the import: the module reads them.
        os.environ["RMQWORK_BENCH_QUEUE"] = f"rmqwork-bench-{secrets.token_hex(4)}"

    def run(self) -> list[Figure]:
        """Measure everything.

        Raises:
            PublishError, BrokerUnavailable: the broker does not take part.
        """
        with tempfile.TemporaryDirectory(prefix="rmqwork-bench-") as folder:
            path = Path(folder) / "marks"
            path.write_bytes(bytes(8 * max(self._tasks, _RATE * _SECONDS, 1)))
            os.environ["RMQWORK_BENCH_MARKS"] = str(path)
            from rmqwork._cli.bench import app

            try:
                return [*self._publishing(app), *self._working(app)]
            finally:
                app.app.close()
                asyncio.run(_delete_queues(app.app))

    def _publishing(self, app: Any) -> Iterator[Figure]:
        self._say("publishing")
        task: Task[[int, str], None] = app.in_thread
        task.delay(0, self._filling)  # connects and declares
        each = min(_EACH, self._tasks)
        start = time.perf_counter()
        for n in range(each):
            task.delay(n, self._filling)
        yield Figure("publish, one after another", each / (time.perf_counter() - start), "1/s")
        asyncio.run(_purge(app.app))
        count = max(1, self._tasks // 4)
        yield Figure("publish, asyncio gather", asyncio.run(self._gather(task, count)), "1/s")
        asyncio.run(_purge(app.app))
        yield Figure("publish_many", self._fill(app.app, task), "1/s")

    async def _gather(self, task: Task[[int, str], None], count: int) -> float:
        start = time.perf_counter()
        for first in range(0, count, 1000):
            chunk = range(first, min(count, first + 1000))
            await asyncio.gather(*(task.adelay(n, self._filling) for n in chunk))
        return count / (time.perf_counter() - start)

    def _fill(self, app: Any, task: Task[[int, str], Any]) -> float:
        start = time.perf_counter()
        app.publish_many(task.s(n, self._filling) for n in range(self._tasks))
        return self._tasks / (time.perf_counter() - start)

    def _working(self, app: Any) -> Iterator[Figure]:
        self._say("working")
        yield Figure("tasks in threads", self._drain(app.marks()), "1/s")
        self._fill(app.app, app.on_loop)
        yield Figure("tasks on the event loop", self._drain(app.marks()), "1/s")
        self._say(f"latency at {_RATE}/s")
        late = self._latency(app)
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            value = late[min(len(late) - 1, int(len(late) * share))] * 1000
            yield Figure(f"latency at {_RATE}/s, {name}", value, "ms")

    def _drain(self, marks: memoryview) -> float:
        done = marks[: self._tasks]
        done[:] = memoryview(bytes(8 * len(done))).cast("d")
        with self._worker() as worker:
            _wait(done, worker)
        ran = sorted(done)
        skipped = len(ran) // 10  # the start is not what is measured here
        seconds = ran[-1] - ran[skipped]
        return (len(ran) - skipped - 1) / seconds if seconds else float(len(ran))

    def _latency(self, app: Any) -> list[float]:
        done = app.marks()[: _RATE * _SECONDS]
        done[:] = memoryview(bytes(8 * len(done))).cast("d")
        with self._worker() as worker:
            app.in_thread.delay(0, self._filling)
            _wait(done[:1], worker)
            done[0] = 0.0
            start = time.monotonic() + 0.1
            due = [start + n / _RATE for n in range(len(done))]
            for n, at in enumerate(due):
                time.sleep(max(0.0, at - time.monotonic()))
                app.in_thread.delay(n, self._filling)
            _wait(done, worker)
        return sorted(at - wanted for at, wanted in zip(done, due, strict=True))

    @contextlib.contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "rmqwork", "worker", "rmqwork._cli.bench.app:app"]
        command += ["-p", str(self._processes), "--log-level", "error"]
        worker = subprocess.Popen(command)
        try:
            yield worker
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait()


def _wait(done: memoryview, worker: subprocess.Popen[bytes]) -> None:
    """Wait until all tasks have run."""
    left, since = len(done), time.monotonic()
    while left:
        if worker.poll() is not None:
            raise RmqworkError(f"the worker ended with exit code {worker.returncode}")
        time.sleep(0.02)
        now_left = sum(1 for at in done if not at)
        if now_left < left:
            left, since = now_left, time.monotonic()
        elif time.monotonic() - since > _TIMEOUT:
            raise RmqworkError(f"no task has ended for {_TIMEOUT:g} s; {left} are left")


async def _purge(app: Any) -> None:
    link = await _open(app)
    for queue in app.queues:
        await link.purge(queue)
    await link.close()


async def _delete_queues(app: Any) -> None:
    from rmqwork._topology.topology import DeclareQueue

    link = await _open(app)
    for declaration in app.topology():
        if isinstance(declaration, DeclareQueue) and declaration.name.startswith("rmqwork-bench-"):
            await link.delete_queue(declaration.name)
    await link.close()


async def _open(app: Any) -> Any:
    from rmqwork._transport.connecting import connect

    return await connect(app.settings.broker).open("rmqwork bench")
