"""Executors that are replaced between tasks, under load."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.acceptance.support import WorkerHarness, figure
from tests.waiting import until


def test_after_max_tasks_with_nothing_lost_or_run_twice(vhost_url: str, tmp_path: Path):
    # Given a worker whose executors are replaced every 100 tasks
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("-p", "2", "-c", "4", "--max-tasks", "100")

        # When it has 1,500 to run
        sent = [scene.send("mark", key=str(n)) for n in range(750)]
        sent += [scene.send("amark", key=str(n)) for n in range(750)]
        ran = scene.ledger.wait(1500, "ran")

        # Then each runs once, in more processes than two
        pids = {line["pid"] for line in ran}
        replaced = worker.log("is being replaced: it has run")
        figure("4", f"1,500 tasks in {len(pids)} processes, {len(replaced)} replaced")
        assert len(replaced) >= 2
        assert worker.stop() == 0
        assert sorted(line["id"] for line in scene.ledger.lines("ran")) == sorted(sent)
        assert scene.rabbit.ready("default") == 0
        assert worker.log("executor", level="error") == []


def test_above_max_memory_when_its_task_has_ended(vhost_url: str, tmp_path: Path):
    # Given an executor that has kept 200 MB from one task, while another one runs in it
    gate = tmp_path / "gate"
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("-c", "2", "--max-memory", "200MB")
        scene.send("wait_for", path=str(gate))
        scene.ledger.wait(1, "started")
        scene.send("keeps", size=200_000_000)
        [large] = scene.ledger.wait(1, "ran")

        # When its replacement has come
        worker.wait_log("is being replaced: it has")
        worker.wait_log("has the place of")
        scene.send("mark")

        # Then that one takes what comes, and the old one finishes what runs, and leaves
        [line] = scene.ledger.wait(1, "ran", task="work.mark")
        assert line["pid"] != large["pid"]
        gate.touch()
        [last] = scene.ledger.wait(1, "ran", task="work.wait_for")
        assert (last["pid"], last["attempt"]) == (large["pid"], 1)
        until(lambda: not psutil.pid_exists(large["pid"]), "the old one to leave")
        assert worker.stop() == 0
        assert worker.log("executor", level="error") == []
