"""An app on a broker of the test's own: publish, run what waits, look at what became of it::

    with memory(app) as kit:
        resize.delay(ResizeImage(url=url, width=64))
        ran = kit.run_all()
        assert ran.count(resize) == 3          # two retries
        assert not ran.dead_letters

`memory` gives a broker in this process whose clock `Kit.run_all` moves: what waits for hours runs
at once. `real` gives the same on a RabbitMQ, in real time. Both are plain context managers, for
pytest, `unittest` (``self.enterContext(memory(app))``) and scripts.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rmqwork.testing._binding import bound
from rmqwork.testing.published import Published, RecordingPort, What, _name
from rmqwork.testing.worker import Run, TestWorker

if TYPE_CHECKING:
    from typing import Unpack

    from rmqwork._messages.dead_letter import DeadLetter
    from rmqwork._tasks.app import App
    from rmqwork._transport.memory.broker import MemoryBroker
    from rmqwork._transport.memory.faults import Faults
    from rmqwork._transport.port import Connector
    from rmqwork.testing.worker import TestWorkerOptions

_MAX_RUNS: Final = 10_000
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class RunReport:
    """What one `Kit.run_all` came to.

    Args:
        runs: all runs, in the order in which they ended.
        dead_letters: all that lies in the dead-letter queues now.
        seconds: by how much the clock was moved (in memory), or what it took.
    """

    runs: Sequence[Run]
    dead_letters: Sequence[DeadLetter] = field(default=())
    seconds: float = 0.0

    def of(self, what: What) -> list[Run]:
        """The runs of a task, given as such, by its message class, or by its name."""
        return [run for run in self.runs if run.task == _name(what)]

    def count(self, what: What) -> int:
        """How often a task ran."""
        return len(self.of(what))

    @property
    def succeeded(self) -> list[Run]:
        """The runs that came to their end."""
        return [run for run in self.runs if run.succeeded]

    @property
    def retried(self) -> list[Run]:
        """The runs after which the task was to run again."""
        return [run for run in self.runs if run.retried]


class Kit:
    """An app, bound to a broker for a test.

    Args:
        app: the app.
        broker: the broker in memory; None = a real one.
        published: what the app publishes.
    """

    def __init__(self, app: App, broker: MemoryBroker | None, published: Published) -> None:
        self.app = app
        self.published = published
        self._broker = broker

    @property
    def broker(self) -> MemoryBroker:
        """The broker in memory.

        Raises:
            TypeError: it is a real one.
        """
        if self._broker is None:
            raise TypeError(
                "this test runs on a real RabbitMQ: its clock cannot be moved, and faults cannot "
                "be ordered; leave out rmqwork_rabbitmq (or --rmqwork-rabbitmq) for it"
            )
        return self._broker

    @property
    def faults(self) -> Faults:
        """What is to go wrong (in memory)."""
        return self.broker.faults

    def advance(self, seconds: float) -> None:
        """Move the broker's clock (in memory): what becomes due comes back into its queue.

        A delay may be longer than asked for by a thousandth (at most a second), never shorter.
        """
        self.broker.advance(seconds)

    def worker(self, **options: Unpack[TestWorkerOptions]) -> TestWorker:
        """A worker for the app, to be used as a context manager; see `TestWorker`."""
        return TestWorker(self.app, **options)

    def run_all(
        self,
        *,
        queues: Sequence[str] = (),
        until: float | None = None,
        concurrency: int = 1,
        most: int = _MAX_RUNS,
        timeout: float = 30.0,
    ) -> RunReport:
        """Run all that waits, with retries, delays and what the tasks publish, to the last one.

        Args:
            queues: of which queues; default: all of the app's.
            until: stop when the clock has been moved by so many seconds; None = when nothing waits.
            concurrency: tasks in threads at once.
            most: runs after which something must be wrong.
            timeout: real seconds in which nothing comes to an end, after which something must be
                wrong; on a real broker: for all of it.

        Raises:
            AssertionError: there are more runs than ``most``.
            TimeoutError: see ``timeout``.
        """
        with self.worker(queues=queues, concurrency=concurrency) as worker:
            began = time.monotonic()
            if self._broker is None:
                from rmqwork.testing._idle import wait_until_idle

                wait_until_idle(worker, worker.queues, timeout, delayed=True)
                seconds = time.monotonic() - began
            else:
                seconds = self._run_by_the_clock(worker, self._broker, until, most, timeout)
            runs = tuple(worker.runs)
        return RunReport(runs, self.dead_letters(), seconds)

    def _run_by_the_clock(
        self,
        worker: TestWorker,
        broker: MemoryBroker,
        until: float | None,
        most: int,
        timeout: float,
    ) -> float:
        """Work until nothing is left, move the clock to what is due next, and so on."""
        moved = 0.0
        while True:
            worker.wait_until_idle(timeout)
            if len(worker.runs) > most:
                raise AssertionError(
                    f"{len(worker.runs)} runs and no end; the last was {worker.runs[-1]}"
                )
            due = broker.next_due()
            if due is None:
                return moved
            if until is not None and moved + due > until:
                broker.advance(until - moved)
                return until
            broker.advance(due)
            moved += due

    def dead_letters(self, *queues: str) -> list[DeadLetter]:
        """What lies in the dead-letter queues of these queues; default: of all the app's."""
        from rmqwork._admin.deadletters.reading import aread
        from rmqwork._transport.connecting import connect
        from rmqwork._transport.memory.connector import MemoryConnector
        from rmqwork.testing._idle import run

        connector: Connector
        if self._broker is not None:
            connector = MemoryConnector(self._broker, faults=False)
        else:
            connector = connect(self.app.settings.broker, self.app.settings.heartbeat)
        return run(aread(connector, queues or tuple(self.app.queues)))


@contextmanager
def memory(app: App) -> Iterator[Kit]:
    """Bind an app to a broker in memory of its own, with a clock that stands still."""
    from rmqwork._transport.memory.broker import MemoryBroker
    from rmqwork._transport.memory.clock import ManualClock
    from rmqwork._transport.memory.connector import drop, keep

    broker = MemoryBroker(f"test-{os.getpid()}-{next(_numbers)}", ManualClock())
    keep(broker)
    published = Published(app)
    try:
        with bound(app, broker.url, lambda port: RecordingPort(port, published)):
            yield Kit(app, broker, published)
    finally:
        drop(broker)


@contextmanager
def real(app: App, url: str) -> Iterator[Kit]:
    """Bind an app to a real broker, best to a virtual host of the test's own.

    Args:
        app: which.
        url: the broker's address.
    """
    published = Published(app)
    with bound(app, url, lambda port: RecordingPort(port, published)):
        yield Kit(app, None, published)
