"""Partitions in a worker: one message of each at a time, and none overtakes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from tenacity import wait_fixed

from rmqwork import App, Context, Queue, Reject, Retry, RetryLater
from rmqwork._config.manifest import Manifest
from rmqwork._worker.model.held import HeldDelivery, Stage
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import worker_spec
from rmqwork._worker.partitions import PartitionRunner
from rmqwork._worker.policy.decide import HandBack
from rmqwork._worker.settle.redeliveries import RedeliveryMemory
from rmqwork.types import Evidence, RetryOutcome
from tests.unit.fakes import FakeConsumeChannel, delivery
from tests.waiting import auntil, until

Run = tuple[str, int]


class Log:
    """What ran: key and attempt."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.now = 0
        self.most = 0
        self._lock = threading.Lock()

    def run(self, key: str, attempt: int) -> None:
        with self._lock:
            self.runs.append((key, attempt))
            self.now += 1
            self.most = max(self.most, self.now)

    def end(self) -> None:
        with self._lock:
            self.now -= 1


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def make(log: Log) -> Callable[..., App]:
    """Makes an app with a task; what each key does is given."""

    def make_app(name: str, partitions: int, deeds: dict[str, Callable[[Context], None]]) -> App:
        app = App(
            "ordered",
            broker=f"memory://{name}",
            queues=[Queue("orders", partitions=partitions, partition_key="line")],
            unknown_task_grace=1.0,
        )

        @app.task(name="step", retry=Retry(max_attempts=3, wait=wait_fixed(0.02)))
        def step(ctx: Context, key: str, line: int = 0) -> None:
            log.run(key, ctx.attempt)
            try:
                deeds.get(key, lambda _: None)(ctx)
            finally:
                log.end()

        return app

    return make_app


def fail(ctx: Context) -> None:
    raise ValueError("no")


def fail_twice(ctx: Context) -> None:
    if ctx.attempt < 3:
        raise ValueError("not yet")


def test_a_retry_waits_in_its_place(make: Callable[..., App], log: Log):
    app = make("retry", 1, {"a": fail_twice})
    step = app.tasks["step"]
    with app.test_worker(concurrency=4) as worker:
        for key in "abc":
            step.delay(key, line=0)
        worker.wait_until_idle()

    assert log.runs == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1)]
    assert log.most == 1


def test_a_final_failure_and_a_rejection_let_the_next_one_run(make: Callable[..., App], log: Log):
    def reject(ctx: Context) -> None:
        raise Reject("never")

    app = make("reject", 1, {"a": fail, "b": reject})
    step = app.tasks["step"]
    with app.test_worker() as worker:
        for key in "abc":
            step.delay(key, line=0)
        worker.wait_until_idle()

    assert log.runs == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1)]


def test_to_be_called_later_is_no_reason_to_be_overtaken(make: Callable[..., App], log: Log):
    asked: list[int] = []

    def later(ctx: Context) -> None:
        asked.append(ctx.attempt)
        if len(asked) < 4:
            raise RetryLater(0.02, count=False)

    app = make("later", 1, {"a": later})
    step = app.tasks["step"]
    with app.test_worker() as worker:
        step.delay("a", line=0)
        step.delay("b", line=0)
        worker.wait_until_idle()

    assert log.runs == [("a", 1)] * 4 + [("b", 1)]


def test_partitions_run_side_by_side(make: Callable[..., App], log: Log):
    together = threading.Barrier(2)
    app = make("beside", 8, dict.fromkeys("ab", lambda _: together.wait(10)))
    step = app.tasks["step"]
    with app.test_worker(concurrency=2) as worker:
        step.delay("a", line=0)
        step.delay("b", line=1)
        worker.wait_until_idle()

    assert log.most == 2


def test_while_one_waits_for_its_next_attempt_other_partitions_go_on(
    make: Callable[..., App], log: Log
):
    def wait(ctx: Context) -> None:
        if len([run for run in log.runs if run[0] == "a"]) == 1:
            raise RetryLater(0.3)

    app = make("aside", 8, {"a": wait})
    step = app.tasks["step"]
    with app.test_worker(concurrency=1) as worker:
        step.delay("a", line=0)
        until(lambda: log.runs, "its first attempt")
        step.delay("x", line=0)
        step.delay("b", line=1)
        worker.wait_until_idle()

    keys = [key for key, _ in log.runs]
    assert keys.index("b") < keys.index("x")
    assert keys.count("a") == 2
    assert keys[-1] == "x"


def test_a_task_that_is_not_known_holds_its_partition_and_no_other(
    make: Callable[..., App], log: Log
):
    app = make("unknown", 8, {})
    step = app.tasks["step"]
    with app.test_worker() as worker:
        app.send_task("tomorrow", {"line": 0})
        step.delay("a", line=0)
        step.delay("b", line=1)
        worker.wait_until_idle()

    assert [key for key, _ in log.runs] == ["b", "a"]


class Surroundings:
    """Consumers, publisher, settlement and executors, as far as partitions are concerned."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.stopping = False
        self.halted = False
        self.served = True
        self.offered: list[str] = []
        self.considered: list[HeldDelivery] = []
        self.admitted: list[HeldDelivery] = []
        self.settled: list[tuple[HeldDelivery, object]] = []
        app = App("ordered", broker="memory://", queues=[Queue("q", partitions=2)])
        app.task(lambda: None, name="step")
        plan = worker_spec(WorkerOptions("x:app"), Manifest.from_dict(app.manifest()))
        around: Any = self
        self.runner = PartitionRunner(
            plan,
            around,
            around,
            around,
            RedeliveryMemory(),
            around,
            around,
            count(100),
            self.considered.append,
            self.admitted.append,
            clock=lambda: self.now,
            tenure=(20.0, 20.0),
        )

    def halts(self, partition: str) -> bool:
        return self.halted

    def look_again(self, partition: str) -> None: ...

    def offer(self, partition: str) -> None:
        self.offered.append(partition)

    def serves(self, partition: str) -> bool:
        return self.served

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        return []

    def settle(self, held: HeldDelivery, decision: object) -> None:
        self.settled.append((held, decision))

    def comes(self, number: int, channel: FakeConsumeChannel) -> HeldDelivery:
        came = delivery(channel, number, queue="q.0", message_id=f"id-{number}", type="step")
        held = HeldDelivery(number, came, "q", f"id-{number}", 1, "thread")
        held.partition = self.runner.partition_of(came)
        return held

    def runs(self, held: HeldDelivery) -> None:
        """Its turn has come, and an executor has it."""
        assert self.runner.admits(held)
        held.send()


async def test_a_partition_is_offered_between_two_messages_when_its_time_is_over() -> None:
    around, channel = Surroundings(), FakeConsumeChannel()
    for number, later in ((1, 0.0), (2, 19.0), (3, 2.0)):
        held = around.comes(number, channel)
        around.now += later
        around.runs(held)
        assert around.runner.holds("q.0")
        assert around.offered == []
        around.runner.gone(held)

    assert around.offered == ["q.0"]
    assert not around.runner.holds("q.0")
    around.runner.gone(around.comes(4, channel))
    assert around.offered == ["q.0"]  # its next time begins with its next message


async def test_one_that_comes_while_the_first_still_runs_on_a_lost_connection_waits_behind() -> (
    None
):
    around, lost, channel = Surroundings(), FakeConsumeChannel(), FakeConsumeChannel()
    first, next_ = around.comes(1, lost), around.comes(2, channel)
    around.runs(first)
    lost.is_open = False
    around.runner.channel_lost(lost)

    assert not around.runner.admits(next_)
    around.runner.gone(first)

    assert around.admitted == [next_]


async def test_a_message_that_another_worker_has_had_meanwhile_is_forgotten() -> None:
    around, lost, channel = Surroundings(), FakeConsumeChannel(), FakeConsumeChannel()
    waiting, next_ = around.comes(1, lost), around.comes(2, channel)
    around.runs(waiting)
    around.runner.hold(waiting, 60.0)
    assert around.runner.waiting == 1
    lost.is_open = False
    around.runner.channel_lost(lost)
    assert around.runner.waiting == 1  # until it comes again, or its successor does

    assert around.runner.admits(next_)
    assert around.runner.waiting == 0


async def test_a_paused_partition_keeps_its_message_until_it_may_go_on() -> None:
    around, channel = Surroundings(), FakeConsumeChannel()
    held = around.comes(1, channel)
    around.halted = True

    assert not around.runner.admits(held)
    around.runner.watch()
    assert around.considered == []

    around.halted = False
    around.runner.watch()
    around.runner.watch()
    assert around.considered == [held]


async def test_without_a_consumer_what_has_not_begun_goes_back_and_what_runs_does_not() -> None:
    around, channel = Surroundings(), FakeConsumeChannel()
    held = around.comes(1, channel)
    around.runs(held)
    around.runner.release("q.0")
    assert around.settled == []

    around.runner.hold(held, 60.0)
    around.runner.release("q.0")

    assert around.settled == [(held, HandBack())]
    assert around.runner.waiting == 0


async def test_its_next_attempt_comes_after_its_delay_and_counts() -> None:
    around, channel = Surroundings(), FakeConsumeChannel()
    held = around.comes(1, channel)
    around.runs(held)

    around.runner.retry(held, RetryOutcome(0.1, 0.02, True, Evidence("E", "no")))
    assert around.runner.waiting == 1
    await auntil(lambda: around.considered, "its next attempt")

    assert around.considered == [held]
    assert (held.attempt, held.number, held.stage) == (2, 100, Stage.READY)
