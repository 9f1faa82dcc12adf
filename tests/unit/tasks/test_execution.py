from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from rmqwork import (
    App,
    Context,
    Depends,
    InvalidMessage,
    Middleware,
    Reject,
    Retry,
    RetryLater,
    TaskMessage,
)
from rmqwork._messages import headers as names
from rmqwork._messages.compression import compress
from rmqwork._tasks.run_plan import Prepared
from rmqwork.types import Failure, Outcome, Reason, RetryOutcome, Success, TimeLimitReached


class Resize(TaskMessage, name="images.resize", version=2):
    width: int


@Resize.upcast(1)
def from_1(fields: dict[str, Any]) -> dict[str, Any]:
    return {"width": fields["w"]}


def outcome_of(app: App, message: tuple[Any, ...], state: object = None) -> Outcome | None:
    """What one delivery comes to, sync or async."""
    runner = app.runner(state)
    prepared = runner.prepare(message)
    if not isinstance(prepared, Prepared):
        return prepared
    if app.tasks[message[3]].parameters.is_async:
        return asyncio.run(runner.arun(prepared))
    return runner.run(prepared)


def test_a_message_becomes_a_call(app, delivery):
    calls = []

    @app.task
    def resize(message: Resize) -> None:
        calls.append(message)

    @app.task
    def add(x: int, /, y: int = 2, *, z: int = 3) -> None:
        calls.append((x, y, z))

    assert isinstance(outcome_of(app, delivery("images.resize", b'{"w":5}')), Success)
    assert isinstance(
        outcome_of(app, delivery("images.resize", b'{"width":6}', headers={"rmqwork-version": 2})),
        Success,
    )
    assert isinstance(outcome_of(app, delivery("shop.add", b'{"x":1,"z":9}')), Success)
    assert calls == [Resize(width=5), Resize(width=6), (1, 2, 9)]


def test_a_compressed_message_is_unpacked_where_it_runs(app, delivery):
    calls = []

    @app.task
    def note(text: str) -> None:
        calls.append(text)

    body = compress(b'{"text":"long"}')
    outcome = outcome_of(app, delivery("shop.note", body, extras={"content_encoding": "zstd"}))

    assert isinstance(outcome, Success)
    assert calls == ["long"]


def test_the_context_knows_its_delivery(app, delivery):
    seen: list[Context[Any]] = []

    @app.task(retry=Retry(max_attempts=7), time_limit=60)
    def look(ctx: Context) -> None:
        seen.append(ctx)

    headers = {"mine": "x", "rmqwork-attempt": 3, "x-death": []}
    outcome_of(
        app,
        delivery("shop.look", b"{}", attempt=3, redelivered=True, headers=headers, queue="high"),
        state="state",
    )

    ctx = seen[0]
    assert (ctx.task_id, ctx.task, ctx.queue) == ("id-1", "shop.look", "high")
    assert (ctx.attempt, ctx.max_attempts, ctx.redelivered) == (3, 7, True)
    assert ctx.headers == {"mine": "x"}
    assert ctx.state == "state"
    assert app.state == "state"
    assert ctx.deadline is not None
    assert not ctx.stopping.is_set()


def test_stopping_is_the_workers_signal(app, delivery):
    seen = []

    @app.task
    def look(ctx: Context) -> None:
        seen.append(ctx.stopping.is_set())

    stopping = threading.Event()
    stopping.set()
    runner = app.runner(stopping=stopping)
    runner.run(runner.prepare(delivery("shop.look", b"{}")))

    assert seen == [True]


def test_a_tracked_task_tells_that_it_has_started_before_it_runs(delivery):
    app = App("shop", broker="memory://", results="rpc://", track_started=True)
    told: list[object] = []

    @app.task
    def add(x: int) -> int:
        told.append("runs")
        return x

    @app.task(ignore_result=True)
    def quiet(x: int) -> None: ...

    runner = app.runner(progress=lambda *words: told.append(words))
    for task, extras in (("shop.add", {"reply": True}), ("shop.add", None), ("shop.quiet", None)):
        prepared = runner.prepare(delivery(task, b'{"x":1}', number=7, extras=extras))
        assert isinstance(prepared, Prepared)
        runner.run(prepared)

    assert told == [(7, 0, None), "runs", "runs"]  # nobody wants the others' results


def test_progress_is_told_with_the_number_of_the_delivery(app, delivery):
    told = []

    @app.task
    def work(ctx: Context) -> None:
        ctx.progress(1, 3)
        ctx.progress(2)

    runner = app.runner(progress=lambda *words: told.append(words))
    runner.run(runner.prepare(delivery("shop.work", b"{}", number=42)))

    assert told == [(42, 1, 3), (42, 2, None)]


@pytest.mark.parametrize(
    ("given", "reason", "says"),
    [
        ({"task": "nope"}, Reason.UNKNOWN_TASK, "no task 'nope'"),
        ({"headers": {"rmqwork-version": 3}}, Reason.UNKNOWN_TASK, "newer than the one known"),
        ({"headers": {"rmqwork-version": "x"}}, Reason.INVALID_MESSAGE, "not a number"),
        ({"body": b"\xff"}, Reason.INVALID_MESSAGE, "Invalid JSON"),
        ({"body": b"{}"}, Reason.INVALID_MESSAGE, "width: Field required"),
        ({"content_type": "text/plain"}, Reason.INVALID_MESSAGE, "content_type"),
        ({"extras": {"content_encoding": "br"}}, Reason.INVALID_MESSAGE, "content_encoding"),
    ],
)
def test_what_cannot_be_read_is_not_run(app, delivery, given, reason, says):
    @app.task
    def resize(message: Resize) -> None:
        raise AssertionError("it must not run")

    given = {
        "task": "images.resize",
        "body": b'{"width":1}',
        "headers": {"rmqwork-version": 2},
    } | given

    outcome = outcome_of(app, delivery(**given))

    assert isinstance(outcome, Failure)
    assert outcome.reason is reason
    assert says in outcome.evidence.message


class Busy(Exception):
    """An error of the application."""


def tasks_that_end(app: App) -> None:
    """Declare a sync and an async task for each way to end."""
    policy = Retry(max_attempts=3, wait=7, give_up_on=KeyError)

    def act(how: str) -> None:
        if how == "busy":
            raise Busy("try later")
        if how == "key":
            raise KeyError("never")
        if how == "exit":
            raise SystemExit(1)
        if how == "interrupt":
            raise KeyboardInterrupt
        if how == "cancelled":
            raise asyncio.CancelledError
        if how == "reject":
            raise Reject("it is broken")
        if how == "later":
            raise RetryLater(30)
        if how == "later, uncounted":
            raise RetryLater(30, count=False)
        if how == "later, by policy":
            raise RetryLater(None)
        if how == "nonsense":
            raise RetryLater(-1)

    @app.task(name="sync", retry=policy)
    def run(how: str) -> None:
        act(how)

    @app.task(name="async", retry=policy)
    async def arun(how: str) -> None:
        act(how)

    @app.task(name="plain")
    def plain(how: str) -> None:
        act(how)


@pytest.mark.parametrize("task", ["sync", "async"])
@pytest.mark.parametrize(
    ("how", "attempt", "delay", "counts"),
    [
        ("busy", 1, 7, True),
        ("exit", 2, 7, True),
        ("interrupt", 2, 7, True),
        ("cancelled", 2, 7, True),
        ("later", 1, 30, True),
        ("later, by policy", 1, 7, True),
        ("later, uncounted", 99, 30, False),
    ],
)
def test_what_is_tried_again(app, delivery, task, how, attempt, delay, counts):
    tasks_that_end(app)

    outcome = outcome_of(app, delivery(task, b'{"how":"%s"}' % how.encode(), attempt=attempt))

    assert isinstance(outcome, RetryOutcome)
    assert (outcome.delay, outcome.counts) == (delay, counts)


@pytest.mark.parametrize("task", ["sync", "async"])
@pytest.mark.parametrize(
    ("how", "attempt", "reason", "type_name", "says"),
    [
        ("busy", 3, Reason.FAILED, "test_execution.Busy", "try later"),
        ("key", 1, Reason.FAILED, "KeyError", "never"),
        ("reject", 1, Reason.REJECTED, "rmqwork.Reject", "it is broken"),
        ("later", 3, Reason.FAILED, "rmqwork.types.RetryLater", "retry in 30 s"),
        ("nonsense", 1, Reason.FAILED, "rmqwork.types.RetryLater", "0 or more"),
    ],
)
def test_what_fails_for_good(app, delivery, task, how, attempt, reason, type_name, says):
    tasks_that_end(app)

    outcome = outcome_of(app, delivery(task, b'{"how":"%s"}' % how.encode(), attempt=attempt))

    assert isinstance(outcome, Failure)
    assert outcome.reason is reason
    assert outcome.evidence.type.endswith(type_name)
    assert says in outcome.evidence.message


def test_a_task_without_policy_runs_once_unless_it_asks_itself(app, delivery):
    tasks_that_end(app)

    def ends(how: bytes, attempt: int) -> type:
        return type(outcome_of(app, delivery("plain", b'{"how":"%s"}' % how, attempt=attempt)))

    assert ends(b"busy", 1) is Failure
    assert ends(b"exit", 1) is Failure
    assert ends(b"later", 1) is RetryOutcome
    assert ends(b"later", 4) is RetryOutcome
    assert ends(b"later", 5) is Failure


def test_the_apps_policy_is_for_tasks_without_one(port, delivery):
    app = App("shop", retry=Retry(max_attempts=2, wait=3))
    tasks_that_end(app)

    outcome = outcome_of(app, delivery("plain", b'{"how":"busy"}'))

    assert isinstance(outcome, RetryOutcome)
    assert outcome.delay == 3


def test_except_exception_does_not_hide_what_a_task_asks_for(app, delivery):
    @app.task
    def careless(ctx: Context) -> None:
        try:
            ctx.retry(countdown=5)
        except Exception:
            return

    outcome = outcome_of(app, delivery("shop.careless", b"{}"))

    assert isinstance(outcome, RetryOutcome)
    assert outcome.delay == 5


@pytest.mark.parametrize("task", ["shop.fail", "shop.afail"])
def test_the_evidence_begins_with_the_users_frames(app, delivery, task):
    def broken(ctx: Context) -> str:
        raise Busy("in the dependency")

    @app.task
    def fail(it: str = Depends(broken)) -> None: ...

    @app.task
    async def afail(ctx: Context) -> None:
        raise Busy("in the task")

    outcome = outcome_of(app, delivery(task, b"{}"))

    assert isinstance(outcome, Failure)
    frames = [line for line in outcome.evidence.traceback.splitlines() if "File" in line]
    assert len(frames) == 1
    assert __file__ in frames[0]


def test_the_evidence_has_the_cause(app, delivery):
    @app.task
    def fail(ctx: Context) -> None:
        try:
            raise Busy("first")
        except Busy as error:
            raise RetryLater(1) from error

    outcome = outcome_of(app, delivery("shop.fail", b"{}"))

    assert isinstance(outcome, RetryOutcome)
    assert outcome.evidence.type.endswith("Busy")
    assert 'raise Busy("first")' in outcome.evidence.traceback


def test_a_broken_policy_is_a_clear_failure(app, delivery):
    def boom(state: object) -> float:
        raise RuntimeError("no wait")

    @app.task(retry=Retry(wait=boom))
    def fail() -> None:
        raise Busy("mine")

    outcome = outcome_of(app, delivery("shop.fail", b"{}"))

    assert isinstance(outcome, Failure)
    assert outcome.evidence.type.endswith("Busy")
    assert "mine (and there is no retry: the wait of the Retry raised" in outcome.evidence.message


def test_a_stop_by_time_goes_by_the_publish(app, delivery):
    import time

    import tenacity

    @app.task(retry=Retry(max_attempts=None, wait=1, stop=tenacity.stop_after_delay(60)))
    def fail() -> None:
        raise Busy

    fresh = {"timestamp": int(time.time())}
    old = {"timestamp": int(time.time()) - 3600}

    assert isinstance(outcome_of(app, delivery("shop.fail", b"{}", extras=fresh)), RetryOutcome)
    assert isinstance(outcome_of(app, delivery("shop.fail", b"{}", extras=old)), Failure)


def test_a_coroutine_from_a_sync_task_is_no_success(app, delivery):
    async def work() -> None: ...

    @app.task
    def forgot() -> Any:
        return work()

    outcome = outcome_of(app, delivery("shop.forgot", b"{}"))

    assert isinstance(outcome, Failure)
    assert "declare it with `async def`" in outcome.evidence.message


def test_a_task_that_the_worker_cancels_is_handed_back(app, delivery):
    started: asyncio.Event

    @app.task(retry=Retry())
    async def sleep(how: str) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if how == "error":
                raise Busy("because of the cancel") from None
            if how == "reject":
                raise Reject("anyway") from None
            if how == "end":
                return
            raise

    async def cancelled(how: bytes) -> Outcome | None:
        nonlocal started
        started = asyncio.Event()
        runner = app.runner()
        prepared = runner.prepare(delivery("shop.sleep", b'{"how":"%s"}' % how))
        task = asyncio.create_task(runner.arun(prepared))
        await started.wait()
        task.cancel()
        return await task

    assert asyncio.run(cancelled(b"cancel")) is None
    assert asyncio.run(cancelled(b"error")) is None
    assert isinstance(asyncio.run(cancelled(b"reject")), Failure)
    assert isinstance(asyncio.run(cancelled(b"end")), Success)


def test_a_task_that_is_cancelled_by_itself_has_failed(app, delivery):
    """Handed back, it would be back at once, for ever: no attempt is spent."""

    @app.task(retry=Retry(max_attempts=3, on=asyncio.CancelledError))
    async def cancels() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await asyncio.sleep(60)

    runner = app.runner()
    prepared = runner.prepare(delivery("shop.cancels", b"{}"))
    outcome = asyncio.run(runner.arun(prepared, lambda: False))
    assert isinstance(outcome, RetryOutcome)
    assert outcome.evidence.type == "asyncio.exceptions.CancelledError"


def test_an_async_task_ends_at_its_time_limit(app, delivery):
    @app.task(time_limit=0.01)
    async def sleep() -> None:
        await asyncio.sleep(60)

    @app.task(time_limit=60)
    async def own_timeout() -> None:
        raise TimeoutError("mine")

    late = outcome_of(app, delivery("shop.sleep", b"{}"))
    own = outcome_of(app, delivery("shop.own_timeout", b"{}"))

    assert isinstance(late, Failure)
    assert late.reason is Reason.TIME_LIMIT
    assert "0.01 s" in late.evidence.message
    assert isinstance(own, Failure)
    assert own.reason is Reason.FAILED


def test_a_time_limit_in_a_thread_is_for_the_executor_to_say(app, delivery):
    @app.task(time_limit=5, retry=Retry(max_attempts=2, wait=1))
    def work() -> None:
        raise TimeLimitReached

    runner = app.runner()
    first = runner.prepare(delivery("shop.work", b"{}"))
    last = runner.prepare(delivery("shop.work", b"{}", attempt=2))

    with pytest.raises(TimeLimitReached):
        runner.run(first)
    assert first.time_limit == 5
    assert first.task_name == "shop.work"
    assert isinstance(runner.timed_out(first, 5), RetryOutcome)
    outcome = runner.timed_out(last, 5)
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.TIME_LIMIT


def test_dependencies_live_as_long_as_the_run(app, delivery):
    events = []

    def engine(ctx: Context[str]) -> str:
        return f"engine of {ctx.state}"

    def session(engine: str = Depends(engine)) -> Iterator[str]:
        events.append("begin")
        try:
            yield f"session on {engine}"
        except Busy:
            events.append("rollback")
            raise
        else:
            events.append("commit")

    async def asession(it: str = Depends(session)) -> AsyncIterator[str]:
        yield it.upper()

    @app.task
    def work(ctx: Context, fail: bool, session: str = Depends(session)) -> None:
        events.append(session)
        if fail:
            raise Busy

    @app.task
    async def awork(fail: bool, session: str = Depends(asession)) -> None:
        events.append(session)

    good = outcome_of(app, delivery("shop.work", b'{"fail":false}'), "S")
    bad = outcome_of(app, delivery("shop.work", b'{"fail":true}'), "S")
    agood = outcome_of(app, delivery("shop.awork", b'{"fail":false}'), "S")

    text = "session on engine of S"
    assert [type(one) for one in (good, bad, agood)] == [Success, Failure, Success]
    assert events == [
        *("begin", text, "commit"),
        *("begin", text, "rollback"),
        *("begin", text.upper(), "commit"),
    ]


def test_a_failing_end_of_a_dependency_fails_the_run(app, delivery):
    def session() -> Iterator[str]:
        yield "session"
        raise Busy("the commit failed")

    @app.task
    def work(session: str = Depends(session)) -> None: ...

    outcome = outcome_of(app, delivery("shop.work", b"{}"))

    assert isinstance(outcome, Failure)
    assert outcome.evidence.message == "the commit failed"


@pytest.mark.parametrize("task", ["shop.work", "shop.awork"])
def test_a_dependency_that_swallows_the_error_makes_no_success(app, delivery, task):
    def swallow() -> Iterator[None]:
        with contextlib.suppress(Busy):
            yield

    @app.task
    def work(it: None = Depends(swallow)) -> None:
        raise Busy("lost?")

    @app.task
    async def awork(it: None = Depends(swallow)) -> None:
        raise Busy("lost?")

    outcome = outcome_of(app, delivery(task, b"{}"))

    assert isinstance(outcome, Failure)
    assert outcome.evidence.message == "lost?"


class Witness(Middleware):
    """Notes what it sees."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def before_execute(self, ctx: Context[Any], message: object) -> None:
        self.seen.append((ctx.task, message))

    def after_execute(self, ctx: Context[Any], outcome: Outcome) -> None:
        self.seen.append(type(outcome))


class Broken(Middleware):
    """Raises in each hook."""

    def before_execute(self, ctx: Context[Any], message: object) -> None:
        raise SystemExit("before")

    def after_execute(self, ctx: Context[Any], outcome: Outcome) -> None:
        raise ValueError("after")


def test_middleware_sees_each_run_and_a_broken_one_harms_none(delivery, caplog):
    witness = Witness()
    app = App("shop", middleware=[Broken(), witness])
    ran = []

    @app.task
    def add(x: int) -> None:
        ran.append(x)

    @app.task
    async def aadd(x: int) -> None:
        raise Busy

    assert isinstance(outcome_of(app, delivery("shop.add", b'{"x":1}')), Success)
    assert isinstance(outcome_of(app, delivery("shop.aadd", b'{"x":1}')), Failure)

    assert ran == [1]
    assert witness.seen == [("shop.add", {"x": 1}), Success, ("shop.aadd", {"x": 1}), Failure]
    assert [record.message for record in caplog.records] == [
        "Broken.before_execute is broken; the message goes on without it",
        "Broken.after_execute is broken; the message goes on without it",
    ] * 2


def test_middleware_can_reject_before_the_run(delivery):
    class Gate(Middleware):
        def before_execute(self, ctx: Context[Any], message: object) -> None:
            raise Reject("not you")

    app = App("shop", middleware=[Gate()])

    @app.task
    def add(x: int) -> None:
        raise AssertionError("it must not run")

    outcome = outcome_of(app, delivery("shop.add", b'{"x":1}'))

    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.REJECTED


def test_an_invalid_message_raised_by_a_task_is_its_own_failure(app, delivery):
    @app.task
    def publish_badly() -> None:
        raise InvalidMessage("of another task")

    outcome = outcome_of(app, delivery("shop.publish_badly", b"{}"))

    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.FAILED


def test_delay_in_a_task_goes_through_the_executors_port(app, port, delivery):
    @app.task
    def child(x: int) -> None: ...

    @app.task
    def parent() -> None:
        child.delay(1)

    outcome_of(app, delivery("shop.parent", b"{}"))

    assert [one.type for one in port.sent] == ["shop.child"]
    assert dataclasses.asdict(port.sent[0])["body"] == b'{"x":1}'


def test_older_arguments_are_brought_up_to_date(app, delivery):
    calls = []

    @app.task(version=3)
    def scale(width: int, unit: str) -> None:
        calls.append((width, unit))

    @scale.upcast(1)
    def _(fields: dict[str, Any]) -> dict[str, Any]:
        return {"size": fields["w"]}

    @scale.upcast(2)
    def _(fields: dict[str, Any]) -> dict[str, Any]:
        return {"width": fields["size"], "unit": "px"}

    def came_to(body: bytes, version: int | None = None) -> Any:
        found = {} if version is None else {"headers": {names.VERSION: version}}
        return outcome_of(app, delivery("shop.scale", body, **found))

    assert isinstance(came_to(b'{"w":5}'), Success)
    assert isinstance(came_to(b'{"size":6}', 2), Success)
    assert isinstance(came_to(b'{"width":7,"unit":"mm"}', 3), Success)
    assert calls == [(5, "px"), (6, "px"), (7, "mm")]
    newer, broken, none = came_to(b"{}", 4), came_to(b'{"x":1}'), came_to(b"{}", 0)
    assert newer.reason is Reason.UNKNOWN_TASK
    assert "version 4 of 'shop.scale' is newer" in newer.evidence.message
    assert broken.reason is none.reason is Reason.INVALID_MESSAGE


def test_a_message_of_a_former_name_is_a_run_of_the_task(app, delivery):
    calls = []

    @app.task(aliases=["shop.shrink"])
    def scale(ctx: Context, width: int) -> None:
        calls.append((ctx.task, width))

    assert isinstance(outcome_of(app, delivery("shop.shrink", b'{"width":5}')), Success)
    assert calls == [("shop.scale", 5)]
