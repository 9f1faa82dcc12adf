"""Partitions in a worker: one message of each at a time, and none overtakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from tenacity import wait_fixed

from rmqwork import App, Context, Queue, Reject, Retry, RetryLater

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
        time.sleep(0.1)
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
