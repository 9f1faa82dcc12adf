"""What a worker does when a connection, a queue, an executor or a task fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rmqwork.testing.broker import Broker
from tests.acceptance.support import SOON, WorkerHarness, figure, free_port, probe
from tests.waiting import until


class TestConnections:
    @pytest.mark.slow
    def test_the_broker_closes_them_while_tasks_run(
        self, broker: Broker, vhost_url: str, tmp_path: Path
    ):
        gate = tmp_path / "gate"
        with WorkerHarness(vhost_url, tmp_path) as scene:
            port = free_port()
            worker = scene.worker("-c", "4", "--health-port", str(port))
            running = [scene.send("wait_for", path=str(gate), key=str(n)) for n in range(4)]
            waiting = [scene.send("mark", key=str(n)) for n in range(4)]
            scene.ledger.wait(4, "started")

            scene.rabbit.close_worker(broker)
            worker.wait_log("connected again")
            gate.touch()

            scene.ledger.wait(8, "ran")
            scene.rabbit.wait_consumed("default")
            for task_id in running + waiting:
                worker.wait_log("succeeded", task_id=task_id)
            assert scene.ledger.count("started") == 4, "a task that ran on was run again"
            assert scene.ledger.count("ran") == 8
            assert worker.stop() == 0
            assert scene.rabbit.ready("default") == 0
            assert scene.rabbit.ready("default.dlq") == 0

    def test_a_task_runs_on_while_the_broker_is_away(self, vhost_url: str, tmp_path: Path):
        gate = tmp_path / "gate"
        with WorkerHarness(vhost_url, tmp_path) as scene:
            proxy, port = scene.proxy(), free_port()
            worker = scene.worker("--health-port", str(port), url=proxy.url)
            finishes = scene.send("wait_for", path=str(gate))
            retries = scene.send("fails_when", path=str(gate))
            scene.ledger.wait(2, "started")
            proxy.cut()
            until(lambda: probe(port)[0] == 503, "the worker to be unready")
            scene.rabbit.wait_ready("default", 2)  # the broker has taken both back

            gate.touch()
            worker.wait_log("succeeded", task_id=finishes)
            worker.wait_log("retry", task_id=retries)
            proxy.restore()

            # Both outcomes are settled under the new deliveries: nothing of them runs twice.
            scene.ledger.wait(1, "ran", id=retries)
            until(lambda: probe(port)[0] == 200, "the worker to be ready")
            assert len(scene.ledger.lines("started", id=finishes)) == 1
            attempts = [line["attempt"] for line in scene.ledger.lines("started", id=retries)]
            assert attempts == [1, 2]
            assert worker.stop() == 0
            assert scene.rabbit.ready("default") == 0

    def test_an_ack_that_is_lost_is_given_again(self, vhost_url: str, tmp_path: Path):
        gate = tmp_path / "gate"
        with WorkerHarness(vhost_url, tmp_path) as scene:
            proxy = scene.proxy()
            worker = scene.worker(url=proxy.url)
            task_id = scene.send("wait_for", path=str(gate))
            scene.ledger.wait(1, "started")
            proxy.swallow()
            gate.touch()
            worker.wait_log("succeeded", task_id=task_id)
            assert scene.rabbit.ready("default") == 0

            proxy.cut()
            scene.rabbit.wait_ready("default", 1)
            proxy.restore()

            worker.wait_log("was delivered again after it was done")
            assert worker.stop() == 0
            assert scene.rabbit.ready("default") == 0
            assert scene.ledger.count("started") == 1

    def test_a_queue_that_is_deleted_is_made_again(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            worker = scene.worker()
            scene.send("mark", key="before")
            scene.ledger.wait(1, "ran", key="before")

            scene.rabbit.channel.queue_delete("default")

            worker.wait_log("cannot be consumed")
            scene.rabbit.wait_consumed("default")
            scene.send("mark", key="after")
            scene.ledger.wait(1, "ran", key="after")
            assert worker.stop() == 0


class TestExecutors:
    def test_one_that_dies_with_one_task_counts_an_attempt(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            scene.worker("-c", "1")
            task_id = scene.send("dies")

            [(_, properties, body)] = scene.rabbit.letters("default")

            attempts = [line["attempt"] for line in scene.ledger.lines("started", id=task_id)]
            assert attempts == [1, 2, 3]
            assert body == b"{}"
            assert properties.headers["rmqwork-error-reason"] == "worker-crashed"
            assert "SIGKILL" in properties.headers["rmqwork-error-message"]
            assert properties.headers["rmqwork-attempt"] == 3
            assert properties.headers["rmqwork-error-signal"] == "SIGKILL"
            assert properties.headers["rmqwork-error-peak-memory"] > 5_000_000
            assert "it was nice here" in properties.headers["rmqwork-error-traceback"]
            scene.send("mark", key="after")
            scene.ledger.wait(1, "ran", key="after")

    @pytest.mark.slow
    def test_of_many_in_one_that_dies_only_the_culprit_pays(self, vhost_url: str, tmp_path: Path):
        gate = tmp_path / "gate"
        with WorkerHarness(vhost_url, tmp_path) as scene:
            scene.worker("-c", "8", "-p", "1")
            innocents = [scene.send("innocent", path=str(gate), key=str(n)) for n in range(7)]
            culprit = scene.send("dies", path=str(gate))
            scene.ledger.wait(8, "started")

            gate.touch()

            [(_, properties, _)] = scene.rabbit.letters("default")
            assert properties.message_id == culprit
            assert properties.headers["rmqwork-error-reason"] == "worker-crashed"
            ran = scene.ledger.wait(7, "ran")
            assert sorted(line["id"] for line in ran) == sorted(innocents)
            assert {line["attempt"] for line in ran} == {1}
            runs = len(scene.ledger.lines("started", id=culprit))
            figure("6", f"7 innocents ran once more each, attempt 1; the culprit ran {runs} times")
            assert runs <= 4

    def test_one_killed_from_outside_is_replaced(self, vhost_url: str, tmp_path: Path):
        gate = tmp_path / "gate"
        with WorkerHarness(vhost_url, tmp_path) as scene:
            worker = scene.worker("-c", "1")
            task_id = scene.send("wait_for", path=str(gate))
            [line] = scene.ledger.wait(1, "started")
            [executor] = [one for one in worker.family() if one.pid == line["pid"]]

            executor.kill()
            gate.touch()

            ran = scene.ledger.wait(1, "ran", id=task_id)[0]
            assert ran["attempt"] == 2
            assert ran["pid"] != line["pid"]


class TestLimits:
    def test_a_hard_limit_kills_and_spares_the_others(self, vhost_url: str, tmp_path: Path):
        gate = tmp_path / "gate"
        with WorkerHarness(vhost_url, tmp_path) as scene:
            scene.worker("-c", "4")
            innocent = scene.send("innocent", path=str(gate), key="")
            overruns = scene.send("overruns")
            scene.ledger.wait(2, "started")

            [(_, properties, _)] = scene.rabbit.letters("default")

            assert properties.message_id == overruns
            assert properties.headers["rmqwork-error-reason"] == "time-limit"
            assert properties.headers["rmqwork-attempt"] == 1
            assert "this will take long" in properties.headers["rmqwork-error-traceback"]
            gate.touch()
            assert scene.ledger.wait(1, "ran", id=innocent)[0]["attempt"] == 1
            assert len(scene.ledger.lines("started", id=overruns)) == 1

    @pytest.mark.parametrize("task", ["slow", "aslow"])
    def test_a_time_limit_ends_the_run(self, vhost_url: str, tmp_path: Path, task: str):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            worker = scene.worker()
            task_id = scene.send(task)

            [(_, properties, _)] = scene.rabbit.letters("default")

            assert properties.headers["rmqwork-error-reason"] == "time-limit"
            [line] = worker.wait_log("dead-lettered", task_id=task_id)
            figure("6", f"time_limit=0.3: {task} ended after {line['duration_ms']:.0f} ms")
            assert 300 <= line["duration_ms"] < SOON * 1000
            scene.send("mark", key="after")
            scene.ledger.wait(1, "ran", key="after")


class TestTasks:
    def test_tasks_publish(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            scene.worker("-c", "4")
            for number in range(10):
                scene.send("publishes", key=str(number))
                scene.send("apublishes", key=str(number))

            by_threads = scene.ledger.wait(10, "ran", task="work.mark")
            by_loop = scene.ledger.wait(10, "ran", task="work.amark")

            assert {line["key"] for line in by_threads} == {f"{n} by a thread" for n in range(10)}
            assert {line["key"] for line in by_loop} == {f"{n} by the loop" for n in range(10)}
            assert scene.ledger.count("ran") == 40

    def test_one_that_floods_a_pipe_that_nobody_reads_waits_alone(
        self, vhost_url: str, tmp_path: Path
    ):
        reading, writing = os.pipe()
        with os.fdopen(reading), os.fdopen(writing), WorkerHarness(vhost_url, tmp_path) as scene:
            worker = scene.worker("-c", "2", "--grace", "1", stdout=writing)
            floods = scene.send("floods", size=1_000_000)
            scene.ledger.wait(1, "started")

            for number in range(20):
                scene.send("mark", key=str(number))

            scene.ledger.wait(20, "ran", task="work.mark")
            assert not scene.ledger.lines("ran", id=floods)
            assert worker.stop() == 3
            assert worker.log("handed back unfinished")

    @pytest.mark.parametrize("task", ["pools", "threads"])
    def test_tasks_have_pools_and_threads(self, vhost_url: str, tmp_path: Path, task: str):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            scene.worker()
            scene.send(task)
            squares = scene.ledger.wait(1, "ran")[0]["squares"]
            assert squares[:4] == [0, 1, 4, 9]
