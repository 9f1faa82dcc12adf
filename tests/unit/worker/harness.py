"""A worker between a fake broker and fake processes: what comes in, what runs, what is settled.

Deliveries enter where the transport hands them over, reports where the template hands them over, so
that nothing here depends on what the worker is made of between the two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import count
from time import monotonic
from typing import Any, cast

from rmqwork import App, KillSwitch, Queue, Retry
from rmqwork._config.manifest import Manifest
from rmqwork._worker.consume.partition import FirstDeliveryRequeue
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.wire import outcome_message
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import WorkerSpec, worker_spec
from rmqwork._worker.processes.executor import State
from rmqwork._worker.processes.template import PoolEvents
from rmqwork._worker.shutdown import shut_down
from rmqwork._worker.worker import Worker
from rmqwork.types import Delivery, Evidence, Failure, Outcome, Publication, Reason, RetryOutcome
from tests.unit.fakes import (
    FakeChannel,
    FakeConnector,
    FakeConsumeChannel,
    FakeLink,
    delivery,
    turns,
)
from tests.waiting import auntil

EVIDENCE = Evidence("ValueError", "no such picture")
RETRY = RetryOutcome(0.1, 0.0, True, EVIDENCE)
FAILURE = Failure(0.1, Reason.FAILED, EVIDENCE)
_HELLO = "rmqwork.join.hello"


def worker_plan(**options: Any) -> WorkerSpec:
    """What a worker of an app is to do that has each kind of queue and of task."""
    app = App(
        "shop",
        broker="memory://",
        queues=[
            Queue("high"),
            Queue("low"),
            Queue("guarded", kill_switch=KillSwitch(least=2, ratio=0.5, window=60.0, wait=0.01)),
            Queue("orders", partitions=2, partition_key="line"),
        ],
        default_queue="low",
    )
    app.task(_thread, name="shop.thread", retry=Retry(max_attempts=5))
    app.task(_loop, name="shop.loop")
    app.task(_thread, name="shop.isolated", isolated=True)
    app.task(_step, name="shop.step", queue="orders", retry=Retry(max_attempts=3))
    values = {"processes": 1, "concurrency": 4, "async_concurrency": 4, "prefetch": 10} | options
    chosen = WorkerOptions("shop:app", name="me", **values)
    return worker_spec(chosen, Manifest.from_dict(app.manifest()))


def _thread() -> None: ...


async def _loop() -> None: ...


def _step(line: int = 0) -> None: ...


class FakeExecutor:
    """An executor that starts all that it is given, and reports what the test says."""

    def __init__(self, number: int, threads: int, async_tasks: int, events: PoolEvents) -> None:
        self.id = self.pid = number
        self.threads, self.async_tasks = threads, async_tasks
        self.state = State.STARTING
        self.finished = 0
        self.got: dict[int, tuple[Any, ...]] = {}
        """The deliveries that it has, as they were sent."""
        self.unstarted: set[int] = set()
        self.told: list[tuple[Any, ...]] = []
        """What else it was told, in order."""
        self.starts = True
        self._events = events

    # what the worker does

    def send_threads(self, batch: Sequence[tuple[Any, ...]]) -> None:
        for message in batch:
            self.got[message[1]] = message
            if not self.starts:
                self.unstarted.add(message[1])

    send_async = send_threads

    @property
    def outstanding(self) -> Mapping[int, Any]:
        return self.got

    def started(self) -> dict[int, float]:
        return {number: monotonic() for number in self.got if number not in self.unstarted}

    def give_back(self, numbers: Sequence[int] | None = None) -> None:
        self.told.append(("give-back", numbers))
        wanted = self.unstarted if numbers is None else self.unstarted & set(numbers)
        asyncio.get_running_loop().call_soon(self._give_back, sorted(wanted))

    def _give_back(self, numbers: list[int]) -> None:
        for number in numbers:
            self.unstarted.discard(number)
            del self.got[number]
        self._events.on_messages(cast(Any, self), [("back", numbers)])

    def stopping(self) -> None:
        self.told.append(("stopping",))

    def cancel_async(self) -> None:
        self.told.append(("cancel-async",))

    def cancel(self, number: int, why: str) -> None:
        self.told.append(("cancel", number, why))

    def published(self, request: int, answer: Any) -> None:
        self.told.append(("published", request, answer))

    def stack(self, request: int, number: int) -> None:
        self.told.append(("stack", request, number))

    def log_level(self, logger: str, level: int) -> None:
        self.told.append(("log-level", logger, level))

    def ping(self, number: int) -> None:
        self.told.append(("ping", number))

    def exit(self) -> None:
        self.state = State.STOPPING
        self.told.append(("exit",))
        asyncio.get_running_loop().call_soon(self.die, Death(self.pid, 0, expected=True))

    def kill(self, number: int = 9) -> None:
        self.told.append(("kill", number))
        asyncio.get_running_loop().call_soon(self.die, Death(self.pid, None, number))

    # what the test does

    def ready(self) -> None:
        self.state = State.READY
        self._events.on_ready(cast(Any, self))

    def ids(self) -> list[str]:
        """The message ids of what it has, in the order in which it came."""
        return [message[7] for message in self.got.values()]

    def number(self, task_id: str) -> int:
        return next(number for number, message in self.got.items() if message[7] == task_id)

    def report(self, task_id: str, outcome: Outcome) -> None:
        """It has run a task."""
        number = self.number(task_id)
        del self.got[number]
        self.finished += 1
        self.say(outcome_message(number, outcome))

    def cancelled(self, task_id: str) -> None:
        number = self.number(task_id)
        del self.got[number]
        self.say(("cancelled", number))

    def say(self, *messages: tuple[Any, ...]) -> None:
        self._events.on_messages(cast(Any, self), list(messages))

    def die(self, death: Death) -> None:
        if self.state is not State.DEAD:
            self.state = State.DEAD
            self.gone()
            started = self.started()
            unstarted = tuple(self.unstarted)
            self.got.clear()
            self._events.on_death(
                cast(Any, self),
                Death(
                    death.pid,
                    death.exit_code,
                    death.signal,
                    unfinished=started,
                    unstarted=unstarted,
                    expected=death.expected,
                ),
            )

    gone: Callable[[], None] = staticmethod(lambda: None)


class FakeTemplate:
    """Forks fake executors, which are ready in the next turn of the loop."""

    pid = 1
    alive = True

    def __init__(self) -> None:
        self.executors: dict[int, FakeExecutor] = {}
        self.forked: list[FakeExecutor] = []
        self.events: Any = None
        self.closed = False
        self.starting: Callable[[FakeExecutor], None] = lambda executor: None
        self._ids = count(1)

    def fork(self, threads: int, async_tasks: int, *, isolated: bool = False) -> FakeExecutor:
        executor = FakeExecutor(next(self._ids), threads, async_tasks, self.events)
        executor.gone = lambda: self.executors.pop(executor.id, None) and None  # type: ignore[method-assign]
        self.executors[executor.id] = executor
        self.forked.append(executor)
        self.starting(executor)
        asyncio.get_running_loop().call_soon(executor.ready)
        return executor

    def kill_with_children(self, executor_id: int) -> None: ...

    async def close(self, timeout: float = 5.0) -> None:
        self.closed = True


class WorkerHarness:
    """A worker that consumes, with one executor that is ready."""

    def __init__(self, plan: WorkerSpec, connector: FakeConnector) -> None:
        self.connector = connector
        self.template = FakeTemplate()
        self.stopped = asyncio.Event()
        as_template = cast(Any, self.template)
        self.worker = Worker(
            plan, as_template, lambda: as_template, self.stopped.set, cast(Any, connector)
        )
        self.template.events = self.worker.reports
        self.at_once = asyncio.Event()
        self.code: int | None = None
        self._tags = count(1)
        self._tasks: list[asyncio.Task[Any]] = []
        self._taken_over: list[FirstDeliveryRequeue] = []

    async def start(self) -> None:
        self.worker.pool.start()
        self._tasks = [
            asyncio.create_task(self.worker.consumption.run()),
            asyncio.create_task(self.worker.tick()),
        ]
        await auntil(lambda: self.worker.consumption.consuming, "it consumes")
        await auntil(lambda: self.worker.publisher.connected, "it publishes")

    async def shut_down(self, grace: float = 5.0) -> int:
        self.code = await shut_down(self.worker, grace, self.at_once)
        return self.code

    async def close(self) -> None:
        if self.code is None:
            self.at_once.set()
            await self.shut_down(0.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── the processes ─────────────────────────────────────────────────────────────────────────

    @property
    def executor(self) -> FakeExecutor:
        """The executor that was forked first."""
        return self.template.forked[0]

    @property
    def isolated(self) -> list[FakeExecutor]:
        """The executors that were forked after it."""
        return self.template.forked[1:]

    # ── the broker ────────────────────────────────────────────────────────────────────────────

    @property
    def link(self) -> FakeLink:
        """The connection that consumes now."""
        return next(link for link in reversed(self.connector.links) if link.consuming)

    def channel(self, source: str) -> FakeConsumeChannel:
        """The channel on which one of the broker's queues is consumed now."""
        for channel in reversed(self.link.consuming):
            if channel.is_open and any(one[0] == source for one in channel.consumers.values()):
                return channel
        raise AssertionError(f"{source} has no consumer")

    def prefetch(self, source: str) -> int | None:
        """The prefetch with which one of the broker's queues is consumed; None: it is not."""
        found = [
            one[1]
            for channel in self.link.consuming
            if channel.is_open
            for one in channel.consumers.values()
            if one[0] == source
        ]
        return found[-1] if found else None

    def consumes(self, source: str) -> bool:
        return self.prefetch(source) is not None

    def deliver(self, source: str, task_id: str, **given: Any) -> Delivery:
        """The broker delivers a message."""
        channel = self.channel(source)
        deliver = next(one[2] for one in channel.consumers.values() if one[0] == source)
        if isinstance(deliver, FirstDeliveryRequeue) and deliver not in self._taken_over:
            self._taken_over.append(deliver)
            deliver(delivery(channel, next(self._tags), message_id="given back"))
            deliver.end()
        task = {"type": "shop.thread", "queue": source, "routing_key": source, "headers": {}}
        message = delivery(channel, next(self._tags), **task | {"message_id": task_id} | given)
        deliver(message)
        return message

    async def runs(self, source: str, *ids: str, **given: Any) -> list[Delivery]:
        """The broker delivers messages, and they run."""
        messages = [self.deliver(source, one, **given) for one in ids]
        await auntil(lambda: set(ids) <= set(self.running()), lambda: self.running())
        return messages

    def running(self) -> list[str]:
        """The ids of what executors have."""
        return [one for executor in self.template.executors.values() for one in executor.ids()]

    def where(self, task_id: str) -> FakeExecutor:
        """The executor that has a message."""
        return next(one for one in self.template.executors.values() if task_id in one.ids())

    @property
    def publishing(self) -> FakeChannel:
        """The channel on which this worker publishes."""
        return next(ch for link in self.connector.links for ch in link.channels if ch.is_open)

    @property
    def published(self) -> list[Publication]:
        """What was published, in order, but for questions after joins."""
        sent = [one for link in self.connector.links for ch in link.channels for one in ch.sent]
        return [one for one in sent if one.type != _HELLO]

    async def settled(self, *messages: Delivery, by: str = "ack") -> None:
        """Wait until messages are settled, each once, and so."""
        channels: list[FakeConsumeChannel] = [cast(Any, one.channel) for one in messages]

        def all_are() -> bool:
            return all(
                [how for how, tag in channel.log if tag == message.tag] == [by]
                for channel, message in zip(channels, messages, strict=True)
            )

        await auntil(all_are, lambda: [channel.log for channel in channels])

    async def lose(self) -> None:
        """The consuming connection is lost; wait until there is another one."""
        lost = self.link
        lost.lose()
        await turns()
        await auntil(
            lambda: self.link is not lost and self.worker.consumption.consuming, "it consumes again"
        )


@contextlib.asynccontextmanager
async def a_worker(
    connector: FakeConnector | None = None, **options: Any
) -> AsyncIterator[WorkerHarness]:
    """A worker that consumes; shut down at the end."""
    harness = WorkerHarness(worker_plan(**options), connector or FakeConnector())
    await harness.start()
    try:
        yield harness
    finally:
        await harness.close()
