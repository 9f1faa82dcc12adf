"""A worker in this process is controlled as any other."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rmqwork import App, ConfigurationError, Queue, ResultsDisabled, TaskRevoked
from rmqwork._control.asking import asker
from rmqwork._control.wire import Command
from rmqwork._results.result import AsyncResult
from rmqwork._transport.connecting import connect

started, go_on = threading.Event(), threading.Event()


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    app = App("told", broker=f"memory://{request.node.name}", results="rpc://", queues=["a", "b"])
    started.clear()
    go_on.clear()

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    def waits() -> str:
        started.set()
        assert go_on.wait(30)
        return "done"

    @app.task
    async def awaits() -> None:
        started.set()
        await asyncio.sleep(600)

    yield app
    go_on.set()
    app.close(1.0)


def ask(app: App, do: str, **what: object) -> list[object]:
    async def asked() -> list[object]:
        async with asker(connect(app.settings.broker), "test") as asking:
            answers = await asking.ask(Command(do, what), 10, lambda got: len(got) == 1)
        assert [answer.error for answer in answers] == [""]
        return [answer.value for answer in answers]

    return asyncio.run(asked())


def test_a_task_is_revoked_before_any_worker_was_there(app: App):
    result = app.tasks["told.add"].delay(1, 2)
    other = app.tasks["told.add"].delay(3, 4)
    result.revoke()

    with app.test_worker() as worker:
        with pytest.raises(TaskRevoked, match=r"revoked by .+@") as raised:
            result.get(timeout=10)
        assert other.get(timeout=10) == 7
        assert [run.reason for run in worker.runs] != []
    assert raised.value.reason == "revoked"
    assert result.state == "REVOKED"


async def test_a_coroutine_that_runs_is_cancelled(app: App):
    with app.test_worker():
        result = await app.tasks["told.awaits"].adelay()
        assert await asyncio.to_thread(started.wait, 10)
        await result.arevoke()
        with pytest.raises(TaskRevoked):
            await result.aget(timeout=10)


def test_what_runs_in_a_thread_runs_on_and_the_rest_of_its_queue_can_be_revoked(app: App):
    with app.test_worker(concurrency=1):
        runs = app.tasks["told.waits"].delay()
        assert started.wait(10)
        waiting = [app.tasks["told.add"].delay(n, n) for n in range(3)]
        app.revoke([runs, *waiting[:2]])
        for one in waiting[:1]:
            with pytest.raises(TaskRevoked):
                one.get(timeout=10)
        go_on.set()
        assert runs.get(timeout=10) == "done"
        assert waiting[2].get(timeout=10) == 4


def test_a_queue_is_paused_and_resumed(app: App):
    with app.test_worker():
        assert ask(app, "pause", queue="a") == [{"queue": "a", "paused": True}]
        held = app.tasks["told.add"].options(queue="a").delay(1, 1)
        other = app.tasks["told.add"].options(queue="b").delay(2, 2)
        assert other.get(timeout=10) == 4
        assert not held.ready()
        assert ask(app, "resume", queue="a") == [{"queue": "a", "paused": False}]
        assert held.get(timeout=10) == 2


@pytest.mark.parametrize("wrong", [(), "", [""], [7], 7])
def test_what_is_no_id_is_refused(app: App, wrong: object):
    with pytest.raises(ConfigurationError, match="revoke"):
        app.revoke(wrong)  # type: ignore[arg-type]


def test_a_result_made_by_hand_knows_no_app():
    with pytest.raises(ResultsDisabled, match=r"use app\.revoke"):
        AsyncResult("id", "task").revoke()


def test_the_names_of_the_control_streams_are_taken():
    with pytest.raises(ConfigurationError, match="taken by rmqwork"):
        App("a", queues=[Queue("rmqwork.control")]).topology()


def test_the_store_of_results_is_closed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_open: list[object] = []

    class Connection(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            left_open.append(self)

        def close(self) -> None:
            left_open.remove(self)
            super().close()

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3.dbapi2,
        "connect",
        lambda *args, **kwargs: connect(*args, **kwargs, factory=Connection),
    )
    app = App(
        "stored",
        broker="memory://",
        queues=["q"],
        default_queue="q",
        results=f"sqlite:///{tmp_path / 'results'}",
    )

    @app.task
    def fail(x: int) -> int:
        raise ValueError(x)

    @app.task
    def after(x: int) -> int:
        return x

    with app.test_worker() as worker:
        (fail.s(1) | after.s()).delay()
        worker.wait_until_idle()
        assert left_open
    app.close()

    assert left_open == []
