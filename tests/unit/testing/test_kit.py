"""An app in a test: what is published, what runs, what the moved clock brings, what goes wrong."""

from __future__ import annotations

import asyncio
import threading
import time
import unittest
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from tenacity import wait_fixed

from rmqwork import (
    App,
    Context,
    Nacked,
    Queue,
    Reject,
    ResultsDisabled,
    Retry,
    TaskFailed,
    TaskMessage,
    TaskRejected,
    Unroutable,
)
from rmqwork.errors import ConfigurationError, InvalidMessage, UnknownTask
from rmqwork.testing import Kit, TestWorker, eager, memory
from rmqwork.types import Reason

HOURLY = Retry(max_attempts=11, wait=wait_fixed(3600))


class Resize(TaskMessage, name="images.resize", queue="images"):
    width: int


@pytest.fixture
def app() -> App:
    """An app with a task of each kind."""
    return _app()


def _app() -> App:
    app = App("unit", queues=[Queue("unit"), Queue("images")], default_queue="unit")
    seen: list[Any] = []
    app.seen = seen  # type: ignore[attr-defined]

    @app.task
    def add(x: int, y: int) -> int:
        seen.append(x + y)
        return x + y

    @app.task
    async def aadd(x: int, y: int) -> int:
        await asyncio.sleep(0)
        seen.append(x + y)
        return x + y

    @app.task(retry=HOURLY)
    def flaky(ctx: Context, fails: int) -> None:
        if ctx.attempt <= fails:
            raise ValueError(f"attempt {ctx.attempt}")

    @app.task
    def resize(message: Resize) -> None:
        raise Reject("too wide")

    @app.task
    def parent(n: int) -> None:
        seen.append(n)
        if n:
            parent.apply_async((n - 1,), countdown=60)

    return app


def task(app: App, name: str) -> Any:
    return app.tasks[f"unit.{name}"]


@pytest.fixture
def kit(app: App) -> Iterator[Kit]:
    """The app in memory."""
    with memory(app) as kit:
        yield kit


def seen(app: App) -> list[Any]:
    return app.seen  # type: ignore[attr-defined,no-any-return]


# ── run_all ───────────────────────────────────────────────────────────────────────────────────


def test_what_was_published_runs(app: App, kit: Kit):
    task(app, "add").delay(1, 2)
    task(app, "aadd").delay(3, 4)
    assert seen(app) == []

    ran = kit.run_all()

    assert sorted(seen(app)) == [3, 7]
    assert ran.count("unit.add") == ran.count(task(app, "aadd")) == 1
    assert all(run.succeeded for run in ran.runs)
    assert kit.run_all().runs == ()


def test_ten_retries_with_an_hours_backoff_take_no_time(app: App, kit: Kit):
    task(app, "flaky").delay(10)

    began = time.perf_counter()
    ran = kit.run_all()
    took = time.perf_counter() - began

    assert [run.attempt for run in ran.runs] == list(range(1, 12))
    assert [run.delay for run in ran.retried] == [3600.0] * 10
    assert ran.runs[-1].succeeded
    assert ran.seconds == pytest.approx(36_000, abs=11)
    assert took < 60, "0.06 s on an idle machine; the rest is for a busy one"


def test_the_last_attempt_ends_in_the_dead_letter_queue(app: App, kit: Kit):
    sent = task(app, "flaky").delay(99)

    [letter] = kit.run_all().dead_letters

    assert (letter.id, letter.reason, letter.attempt) == (sent.id, "failed", 11)
    assert (letter.error_type, letter.error_message) == ("ValueError", "attempt 11")
    assert kit.dead_letters("images") == []
    assert len(kit.dead_letters("unit")) == 1  # looking removes nothing


def test_a_reject_is_dead_lettered_at_once(app: App, kit: Kit):
    app.publish(Resize(width=9))

    ran = kit.run_all()

    [run] = ran.of(Resize)
    assert (run.reason, run.queue) == (Reason.REJECTED, "images")
    assert [letter.error_message for letter in ran.dead_letters] == ["too wide"]


def test_what_tasks_publish_runs_as_well(app: App, kit: Kit):
    task(app, "parent").delay(5)

    ran = kit.run_all()

    assert seen(app) == [5, 4, 3, 2, 1, 0]
    assert ran.seconds == pytest.approx(300, abs=1)
    assert len(kit.published.of("unit.parent")) == 6


def test_run_all_can_stop_on_the_way(app: App, kit: Kit):
    task(app, "parent").delay(5)

    assert kit.run_all(until=130).seconds == 130
    assert seen(app) == [5, 4, 3]

    kit.advance(120)
    kit.run_all(until=0)
    assert seen(app) == [5, 4, 3, 2]


def test_one_queue_of_many_can_be_run(app: App, kit: Kit):
    app.publish(Resize(width=9))
    task(app, "add").delay(1, 1)

    ran = kit.run_all(queues=["unit"])

    assert [run.task for run in ran.runs] == ["unit.add"]


def test_what_has_no_end_is_said(app: App, kit: Kit):
    @app.task
    def forever(ctx: Context) -> None:
        ctx.retry(countdown=1, count=False)

    forever.delay()

    with pytest.raises(AssertionError, match=r"21 runs and no end.*unit\.forever"):
        kit.run_all(most=20)


def test_what_does_not_end_in_time_is_said(app: App, kit: Kit):
    release = threading.Event()

    @app.task
    def stuck() -> None:
        release.wait(5)

    stuck.delay()

    with pytest.raises(TimeoutError, match="something still runs"):
        kit.run_all(timeout=0.2)
    release.set()


def test_what_expires_while_it_waits_does_not_run(app: App, kit: Kit):
    task(app, "add").apply_async((1, 1), expires=60)
    kit.advance(61)
    task(app, "add").apply_async((2, 2), expires=60)

    ran = kit.run_all()

    assert seen(app) == [4]
    assert [letter.reason for letter in ran.dead_letters] == ["expired"]


def test_an_unknown_task_waits_for_its_grace_then_is_dead_lettered(app: App, kit: Kit):
    app.send_task("somebody.elses", {"a": 1})

    ran = kit.run_all()

    assert [letter.reason for letter in ran.dead_letters] == ["unknown-task"]
    assert ran.seconds == pytest.approx(600, abs=30)


def test_two_apps_in_memory_do_not_meet(app: App):
    other = _app()
    with memory(app) as one, memory(other) as two:
        task(app, "add").delay(1, 2)
        assert two.run_all().runs == ()
        assert len(one.run_all().runs) == 1
    assert seen(other) == []


def test_afterwards_the_app_is_as_before(app: App):
    broker = app.settings.broker
    with memory(app):
        assert app.settings.broker[0].startswith("memory://")
        task(app, "add").delay(1, 1)

    assert app.settings.broker == broker
    assert app.state is None


async def test_it_works_inside_an_event_loop(app: App, kit: Kit):
    await task(app, "aadd").adelay(1, 2)

    ran = kit.run_all()

    assert len(ran.runs) == 1
    assert kit.dead_letters() == []


# ── the worker ────────────────────────────────────────────────────────────────────────────────


def test_a_test_worker_works_as_long_as_it_is_open(app: App, kit: Kit):
    with app.test_worker(concurrency=2) as worker:
        for n in range(20):
            task(app, "add").delay(n, 0)
        worker.wait_until_idle()
        assert sorted(seen(app)) == list(range(20))
        assert not worker.busy

    assert worker.exit_code == 0
    assert len(worker.runs) == 20
    assert not any(thread.name.startswith("rmqwork-test") for thread in threading.enumerate())


def test_a_lifespan_is_entered_and_left_once(app: App, kit: Kit):
    steps: list[str] = []

    @app.lifespan
    async def resources() -> AsyncIterator[str]:
        steps.append("begin")
        yield "state"
        steps.append("end")

    @app.task
    def see(ctx: Context) -> None:
        steps.append(str(ctx.state))

    see.delay()
    kit.run_all()

    assert steps == ["begin", "state", "end"]


def test_a_lifespan_that_fails_is_said(app: App, kit: Kit):
    @app.lifespan
    def broken() -> Iterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(ConfigurationError, match="no database"):
        kit.run_all()


def test_a_crash_of_the_process_is_an_attempt_of_the_task_that_ran(app: App, kit: Kit):
    """Given a task whose process dies, then it runs again, and at last is `worker-crashed`."""
    runs: list[int] = []
    started, release = threading.Event(), threading.Event()

    @app.task
    def deadly(ctx: Context) -> None:
        runs.append(ctx.attempt)
        started.set()
        release.wait(5)

    deadly.delay()
    with kit.worker(concurrency=1) as worker:
        for _ in range(3):
            assert started.wait(5)
            started.clear()
            worker.crash()
            worker.wait_until_idle()
            kit.advance(60)
        release.set()

    assert runs == [1, 2, 3]
    [letter] = kit.dead_letters()
    assert (letter.reason, letter.attempt) == ("worker-crashed", 3)
    assert "SIGKILL" in letter.error_message


def test_the_hard_time_limit_ends_a_task(app: App, kit: Kit):
    release = threading.Event()

    @app.task(hard_time_limit=0.1)
    def endless() -> None:
        release.wait(60)

    endless.delay()
    ran = kit.run_all()
    release.set()

    assert [run.reason for run in ran.of(endless)] == [Reason.TIME_LIMIT]


def test_an_answer_to_a_ping_ends_no_task(app: App, kit: Kit):
    """Pings, and what a task publishes, have numbers of their own, which may be a delivery's."""
    started, release = threading.Event(), threading.Event()

    @app.task
    def waits() -> None:
        started.set()
        release.wait(30)

    waits.delay()
    with kit.worker() as worker:
        assert started.wait(30)
        assert worker._worker is not None
        [executor] = worker._worker.pool.template.executors.values()
        [number] = executor.outstanding
        told = threading.Event()
        events = executor._events
        pong = ("pong", number)
        executor._events = Mock(on_messages=lambda _, said: pong in said and told.set())
        executor.ping(number)
        assert told.wait(30)
        executor._events = events
        assert list(executor.started()) == [number]
        release.set()


def test_the_time_limit_interrupts_a_task(app: App, kit: Kit):
    @app.task(time_limit=0.1)
    def slow() -> None:
        for _ in range(500):
            time.sleep(0.01)

    slow.delay()

    assert [run.reason for run in kit.run_all().of(slow)] == [Reason.TIME_LIMIT]


def test_what_does_not_end_within_the_grace_goes_back(app: App, kit: Kit):
    release = threading.Event()

    @app.task
    def long() -> None:
        release.wait(5)

    long.delay()
    with TestWorker(app, grace=0.05) as worker:
        deadline = time.monotonic() + 5
        while not worker.busy and time.monotonic() < deadline:
            time.sleep(0.005)
    release.set()

    assert worker.exit_code == 3
    assert len(kit.broker.queues["unit"]) == 1


# ── published ─────────────────────────────────────────────────────────────────────────────────


def test_what_was_published_can_be_looked_at(app: App, kit: Kit):
    task(app, "add").apply_async(
        (1, 2), countdown=90, priority=3, headers={"tenant": "a"}, expires=100
    )
    app.publish(Resize(width=9))

    sent = kit.published.one("unit.add")
    assert (sent.message, sent.queue, sent.priority) == ({"x": 1, "y": 2}, "unit", 3)
    assert sent.countdown == pytest.approx(90, abs=1)
    assert sent.expires_at == pytest.approx(time.time() + 100, abs=2)
    assert (sent.headers, sent.error) == ({"tenant": "a"}, None)
    assert kit.published.one(Resize).message == Resize(width=9)
    assert [one.task for one in kit.published] == ["unit.add", "images.resize"]


def test_one_says_what_there_is(app: App, kit: Kit):
    with pytest.raises(AssertionError, match=r"0 messages of 'images\.resize'.*: nothing"):
        kit.published.one(Resize)
    task(app, "add").delay(1, 1)
    task(app, "add").delay(2, 2)

    with pytest.raises(AssertionError, match=r"2 messages.*not one(.|\n)*'x': 2"):
        kit.published.one(task(app, "add"))

    kit.published.clear()
    assert len(kit.published) == 0


# ── faults ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("fault", "error"), [("returned", Unroutable), ("nacked", Nacked)])
def test_a_publish_that_is_refused_raises(app: App, kit: Kit, fault: Any, error: type[Exception]):
    kit.faults.next_publish(fault)

    with pytest.raises(error):
        task(app, "add").delay(1, 1)

    assert isinstance(kit.published[0].error, error)
    task(app, "add").delay(2, 2)
    kit.run_all()
    assert seen(app) == [4]


def test_a_publish_whose_confirm_is_lost_runs_twice_with_one_id(app: App, kit: Kit):
    kit.faults.next_publish("lost")

    sent = task(app, "add").delay(1, 1)

    assert [run.task_id for run in kit.run_all().runs] == [sent.id] * 2


@pytest.mark.parametrize("operation", range(0, 30, 3))
def test_whenever_the_connection_drops_nothing_is_lost(app: App, kit: Kit, operation: int):
    """Given a drop at the n-th operation, then each message is executed or dead-lettered."""
    ids = {task(app, "add").delay(n, n).id for n in range(3)}
    ids.add(task(app, "flaky").delay(1).id)
    ids.add(app.publish(Resize(width=1)).id)

    kit.faults.drop_connection(after=operation)
    ran = kit.run_all()

    ended = {run.task_id for run in ran.succeeded} | {letter.id for letter in ran.dead_letters}
    assert ended == ids


# ── eager ─────────────────────────────────────────────────────────────────────────────────────


def test_eager_runs_at_once_with_retries(app: App):
    with eager(app) as ran:
        result = task(app, "add").delay(1, 2)
        task(app, "aadd").delay(3, 4)
        task(app, "flaky").delay(2)
        task(app, "parent").delay(2)

    assert seen(app) == [3, 7, 2, 1, 0]
    assert [run.attempt for run in ran.runs if run.task == "unit.flaky"] == [1, 2, 3]
    with pytest.raises(ResultsDisabled):
        result.get()


def test_eager_raises_what_fails_for_good(app: App):
    with eager(app) as ran:
        with pytest.raises(TaskFailed, match="attempt 11") as caught:
            task(app, "flaky").delay(99)
        assert caught.value.remote_type == "ValueError"
        with pytest.raises(TaskRejected, match="too wide"):
            app.publish(Resize(width=1))
        with pytest.raises(UnknownTask):
            app.send_task("somebody.elses", {})

        ran.raises = False
        app.publish(Resize(width=1))

    assert ran.runs[-1].reason is Reason.REJECTED


def test_eager_validates_as_a_worker_does(app: App):
    with eager(app), pytest.raises(InvalidMessage):
        app.send_task("unit.add", {"x": "no number", "y": 1})


def test_eager_enters_the_lifespan(app: App):
    @app.lifespan
    def resources() -> Iterator[str]:
        yield "state"

    @app.task
    def see(ctx: Context) -> None:
        seen(app).append(ctx.state)

    with eager(app):
        see.delay()

    assert seen(app) == ["state"]
    assert app.state is None


async def test_eager_works_inside_an_event_loop(app: App):
    with eager(app):
        await task(app, "aadd").adelay(1, 1)

    assert seen(app) == [2]


class WithUnittest(unittest.TestCase):
    """The kit needs no pytest."""

    def setUp(self) -> None:
        self.app = _app()
        self.kit = self.enterContext(memory(self.app))

    def test_retries(self) -> None:
        task(self.app, "flaky").delay(1)

        ran = self.kit.run_all()

        assert ran.count("unit.flaky") == 2
