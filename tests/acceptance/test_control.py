"""Real workers that are told what to do over RabbitMQ."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rmqwork
from rmqwork._control.asking import asker
from rmqwork._control.wire import Answer, Command
from rmqwork._transport.connecting import connect
from tests.acceptance.support import ROOT, TIMEOUT, WORK, Worker, WorkerHarness, free_port, probe
from tests.waiting import until

pytestmark = pytest.mark.broker


class Told(WorkerHarness):
    """A scene whose workers are spoken to."""

    def say(self, *arguments: str, code: int | None = 0) -> Any:
        """Run the program with --json; returns its document."""
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RMQWORK_BROKER": self.url,
            "WORK_QUEUES": ",".join(self.queues),
            "RMQWORK_APP": WORK,
        }
        done = subprocess.run(
            [sys.executable, "-m", "rmqwork", *arguments, "--json"],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert code is None or done.returncode == code, (done.returncode, done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    def ask(self, do: str, workers: int = 1, timeout: float = TIMEOUT, **what: Any) -> list[Any]:
        """What workers say, without the program; waits for so many."""

        async def asked() -> list[Answer]:
            async with asker(connect([self.url]), "test") as asking:
                command = Command(do, what, worker=what.pop("worker", None), by="test")
                return await asking.ask(command, timeout, lambda got: len(got) >= workers)

        answers = asyncio.run(asked())
        assert [answer.error for answer in answers if answer.error] == []
        return [answer.value for answer in answers]

    def ready(self, *arguments: str, **keywords: Any) -> Worker:
        """A worker that consumes and can be told things."""
        worker = self.worker(*arguments, **keywords)
        self.rabbit.wait_consumed(*self.queues)
        return worker


@pytest.fixture
def scene(vhost_url: str, tmp_path: Path) -> Iterator[Told]:
    with Told(vhost_url, tmp_path) as scene:
        yield scene


class Buried:
    """The dead letters of a scene, taken as they come."""

    def __init__(self, scene: WorkerHarness) -> None:
        self._scene = scene
        self.headers: dict[str, dict[str, Any]] = {}

    def wait(self, *ids: str) -> None:
        """Wait until these are dead-lettered."""

        def there() -> bool:
            while (letter := self._scene.rabbit.take("default.dlq")) is not None:
                self.headers[letter[1].message_id] = letter[1].headers
            return self.headers.keys() >= set(ids)

        until(there, f"dead letters {ids}")


def test_what_was_revoked_before_it_started_is_dead_lettered_and_what_runs_is_ended(
    scene: Told, tmp_path: Path
) -> None:
    """Waiting, delayed, waiting behind others in the worker, running: each by its own rule."""
    early, workflow = scene.send("mark", key="early"), "flow-1"
    document = {"id": workflow, "link": [], "link_error": [], "then": []}
    headers = {"rmqwork-workflow": json.dumps(document, separators=(",", ":"))}
    scene.rabbit.publish("default", b'{"key": "flow"}', "work.mark", "of-a-flow", headers)
    delayed = scene.app.send_task("work.mark", {"key": "delayed"}, countdown=1.0).id
    scene.app.revoke([early, delayed], workflow=workflow)

    worker = scene.ready("-c", "2")
    buried = Buried(scene)
    buried.wait(early, "of-a-flow")

    gate = str(tmp_path / "gate")
    runs = [scene.send("wait_for", path=gate, key=key) for key in ("killed", "neighbour")]
    coroutine = scene.send("anap", seconds=600.0, key="cancelled")
    waits = scene.send("mark", key="waits")
    scene.ledger.wait(3, "started")
    scene.app.revoke([waits, coroutine])
    buried.wait(delayed, coroutine, waits)
    scene.say("revoke", runs[0], "--terminate")
    buried.wait(runs[0])
    evidence = buried.headers[runs[0]]
    assert evidence["rmqwork-error-reason"] == "revoked"
    assert evidence["rmqwork-error-type"] == "TaskRevoked"
    assert "revoked by " in evidence["rmqwork-error-message"]
    assert evidence["rmqwork-attempt"] == 1

    Path(gate).touch()
    scene.ledger.wait(1, "ran", key="neighbour")
    scene.rabbit.wait_ready("default", 0)
    assert [line["key"] for line in scene.ledger.lines("ran")] == ["neighbour"]
    assert scene.ledger.lines("ran")[0]["attempt"] == 1  # without penalty
    assert worker.stop() == 0


def test_a_pause_holds_until_it_is_taken_back(scene: Told, tmp_path: Path) -> None:
    """What runs ends, what waits goes back; a new worker keeps the pause, too."""
    gate = str(tmp_path / "gate")
    with scene.ready("-c", "1") as worker:
        scene.send("wait_for", path=gate, key="runs")
        scene.ledger.wait(1, "started")
        for number in range(3):
            scene.send("mark", key=str(number))

        paused = scene.say("pause", "default", "--workers", "1")
        assert [one["paused"] for one in paused["workers"]] == [True]
        scene.rabbit.wait_ready("default", 3)
        Path(gate).touch()
        scene.ledger.wait(1, "ran", key="runs")
        assert worker.stop() == 0

    worker = scene.worker()
    worker.wait_log("is paused by")
    queues = until(lambda: _queues(scene), "an answer of the new worker")
    assert queues == [{"queue": "default", "paused": ["operator"], "prefetched": 0}]
    assert scene.rabbit.ready("default") == 3

    assert scene.ask("resume", queue="default") == [{"queue": "default", "paused": False}]
    scene.ledger.wait(4, "ran")
    assert worker.stop() == 0


def _queues(scene: Told) -> list[dict[str, Any]]:
    names = ("queue", "paused", "prefetched")
    found = scene.ask("inspect", timeout=1.0)
    return [{name: queue[name] for name in names} for one in found for queue in one["queues"]]


def test_a_worker_full_of_blocked_tasks_answers_and_shuts_down(scene: Told, tmp_path: Path) -> None:
    worker = scene.ready("-c", "2", "--name", "shop-1", "--grace", "0.5")
    for number in range(4):
        scene.send("wait_for", path=str(tmp_path / "never"), key=str(number))
    scene.ledger.wait(2, "started")
    until(lambda: _prefetched(scene) == 2, "what waits in the worker")

    (one,) = scene.say("inspect", "--workers", "1")["workers"]
    assert one["worker"] == "shop-1"
    assert one["error"] is None
    assert [task["task"] for task in one["tasks"]] == ["work.wait_for"] * 2
    assert all(task["age_s"] > 0 for task in one["tasks"])
    assert one["memory"] > 1_000_000
    assert one["executors"][0]["memory"] > 1_000_000
    assert sum(queue["prefetched"] for queue in one["queues"]) == 2

    assert scene.ask("ping") == [{}]
    assert scene.ask("shutdown", timeout=0.3, worker="nobody") == []
    assert scene.say("shutdown", "shop-*", "--workers", "1")["workers"][0]["pid"] == one["pid"]
    assert worker.wait() == 3  # two were handed back unfinished


def test_a_worker_is_scaled_says_where_tasks_stand_and_logs_more(
    scene: Told, tmp_path: Path
) -> None:
    gate = str(tmp_path / "gate")
    worker = scene.ready("-c", "1")
    coroutine = scene.send("anap", seconds=600.0)
    ids = [scene.send("wait_for", path=gate, key=str(number)) for number in range(6)]
    scene.ledger.wait(2, "started")

    (told,) = scene.say("inspect", "--stack", ids[0])["stacks"]
    assert "until_file(path)" in told["stack"]
    assert str(Path(rmqwork.__file__).parent) not in told["stack"]
    (told,) = scene.ask("stack", id=coroutine)
    assert told["task"] == "work.anap"
    assert "await asyncio.sleep(seconds)" in told["stack"]

    slots = {"thread": 2, "async": 100}
    assert scene.ask("scale", processes=2, concurrency=2) == [{"processes": 2, "slots": slots}]
    scene.ledger.wait(6, "started")  # one that ends with its task, and two with two each
    assert len(_executors(scene)) == 3
    Path(gate).touch()
    scene.ledger.wait(6, "ran")
    scene.app.revoke(coroutine)
    scene.ask("scale", processes=1)
    until(lambda: len(_executors(scene)) == 1, "one executor")

    assert scene.ask("log-level", level="debug", logger="work") == [
        {"level": "DEBUG", "logger": "work"}
    ]
    scene.send("logs")
    worker.wait_log("a word for debugging")
    assert worker.stop() == 0


def _prefetched(scene: Told) -> int:
    (one,) = scene.ask("inspect")
    return sum(queue["prefetched"] for queue in one["queues"])


def _executors(scene: Told) -> list[dict[str, Any]]:
    (one,) = scene.ask("inspect")
    executors: list[dict[str, Any]] = one["executors"]
    return executors


def test_a_kill_switch_takes_one_message_at_a_time_until_they_succeed(
    vhost_url: str, tmp_path: Path
) -> None:
    """Of 60 messages few are lost to a service that is away; the rest run when it is back."""
    down = tmp_path / "down"
    down.touch()
    port = free_port()
    with Told(vhost_url, tmp_path, "guarded") as scene:
        scene.many([scene.task("fails_while").s(str(down)) for _ in range(60)])
        worker = scene.ready("-c", "2", "--health-port", str(port))
        worker.wait_log("(kill switch)")
        tripped = time.monotonic()
        worker.wait_log("one message at a time is tried")
        status, detail = probe(port)
        assert status == 200
        assert detail["kill_switches"]["guarded"]["state"] in ("waiting", "probing")
        (one,) = scene.ask("inspect")
        assert one["queues"][0]["kill_switch"]["state"] in ("waiting", "probing")
        # the prefetch of two threads beside the six that tripped it, and one for each wait since
        waits = (time.monotonic() - tripped) / 0.4
        assert scene.ledger.count("started") <= 14 + waits

        down.unlink()
        before = scene.ledger.count("started")
        worker.wait_log("all is taken again")
        ran = until(lambda: _all_ended(scene, 60), "the end of all tasks")
        assert ran >= 60 - before
        assert probe(port)[1]["kill_switches"] == {}
        assert worker.stop() == 0


def _all_ended(scene: WorkerHarness, count: int) -> int:
    ran, dead = scene.ledger.count("ran"), scene.rabbit.ready("guarded.dlq")
    return ran if ran + dead == count else 0
