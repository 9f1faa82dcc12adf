"""Retries and countdowns: at their time, and nowhere but in the broker until then."""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.apps.work import WAITS
from tests.acceptance.support import SOON, WorkerHarness, crowded, figure, free_port, probe
from tests.waiting import until

FULL = bool(os.environ.get("CI") or os.environ.get("RMQWORK_FULL"))
COUNT, SPREAD = (10_000, 60.0) if FULL else (2_000, 10.0)
"""Countdowns: how many, over how many seconds (all of the specification in CI)."""


def test_a_task_that_fails_three_times_runs_at_its_times(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker()
        task_id = scene.send("flaky", failures=3)

        scene.ledger.wait(1, "ran", id=task_id)

        runs = scene.ledger.lines("started", id=task_id)
        assert [run["attempt"] for run in runs] == [1, 2, 3, 4]
        gaps = [after["at"] - before["at"] for before, after in itertools.pairwise(runs)]
        late = [gap - wait for gap, wait in zip(gaps, WAITS, strict=True)]
        figure("3", "retries late by " + ", ".join(f"{seconds * 1000:.0f} ms" for seconds in late))
        assert all(0 <= seconds < SOON for seconds in late), late
        retries = worker.wait_log("retry", 3, task_id=task_id)
        assert [line["retry_in_s"] for line in retries] == [*WAITS]
        assert [line["attempt"] for line in retries] == [1, 2, 3]
        assert worker.wait_log("succeeded", task_id=task_id)[0]["attempt"] == 4
        assert scene.rabbit.ready("default.dlq") == 0


def test_while_it_waits_no_worker_holds_it(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        port = free_port()
        first = scene.worker("--health-port", str(port))
        task_id = scene.send("fails_once")
        first.wait_log("retry", task_id=task_id)
        holds = ("running", "waiting", "settling")
        until(lambda: not any(probe(port)[1][name] for name in holds), "the worker to hold nothing")
        probe(port)  # a turn of its loop later the ack is on its way
        scene.rabbit.wait_consumed("default")

        first.send(signal.SIGKILL)
        first.wait()

        # The broker forgets the consumer and takes back what it held in one step.
        until(lambda: not scene.rabbit.consumed("default"), "the end of the consumer")
        assert scene.rabbit.ready("default") == 0
        scene.worker()
        scene.ledger.wait(1, "ran", id=task_id)
        runs = scene.ledger.lines("started", id=task_id)
        late = runs[1]["at"] - runs[0]["at"] - 4
        figure("3", f"unacked 0 while it waits; run by another worker {late * 1000:.0f} ms late")
        assert [run["attempt"] for run in runs] == [1, 2]
        assert 0 <= late < SOON


def test_retry_later_without_counting(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker()
        task_id = scene.send("later", times=str(tmp_path / "times"))

        scene.ledger.wait(1, "ran", id=task_id)

        attempts = [run["attempt"] for run in scene.ledger.lines("started", id=task_id)]
        assert attempts == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_countdowns_run_at_their_time_in_flat_memory(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker()
        scene.rabbit.wait_consumed("default")
        mark = scene.task("mark")
        first = 1.0 if FULL else 3.0  # all are to be published before the first is due
        base = time.time()
        due: dict[str, float] = {}
        steps = [first + (SPREAD - first) * number / COUNT for number in range(COUNT)]
        for chunk in range(0, COUNT, 500):
            now = time.time()
            # The longest first, so that none is due while others are being published.
            countdowns = [SPREAD + first - step for step in steps[chunk : chunk + 500]]
            ids = scene.many(mark.s("later").set(countdown=wait) for wait in countdowns)
            due.update(zip(ids, (now + wait for wait in countdowns), strict=True))
        published = time.time() - base

        processes = [process for process in worker.family() if process.pid == worker.process.pid]
        memory = [rss(processes)]

        def done() -> bool:
            memory.append(rss(processes))
            return scene.ledger.count("ran") >= COUNT

        until(done, "all to have run", SPREAD + 60, every=1.0)

        ran = scene.ledger.lines("ran")
        assert sorted(line["id"] for line in ran) == sorted(due)
        # A chunk's countdowns count from when each was composed, at most `published` later.
        late = sorted(line["at"] - due[line["id"]] for line in ran)
        figure(
            "3",
            f"{COUNT} countdowns of {first:g} to {SPREAD:g} s, published in {published:.1f} s: "
            f"late by {statistics.median(late) * 1000:.0f} ms in the median, "
            f"{late[int(len(late) * 0.99)] * 1000:.0f} ms at p99, {late[-1] * 1000:.0f} ms at most",
        )
        figure(
            "3",
            f"the worker process had {memory[0] / 1e6:.1f} MB at first, "
            f"{max(memory) / 1e6:.1f} MB at most, {memory[-1] / 1e6:.1f} MB at last",
        )
        assert late[0] > -0.01
        # Of a second or less on an idle machine; a busy one stops for longer now and then.
        assert statistics.median(late) <= 1.0 * crowded()
        assert late[-1] < SOON
        assert max(memory) - memory[0] < 15e6


def rss(processes: list[psutil.Process]) -> int:
    """The resident memory of processes, in bytes."""
    return sum(process.memory_info().rss for process in processes)
