"""Which queue is served when, and how much of each a worker holds."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from rmqwork.testing.broker import Broker
from tests.acceptance.support import WorkerHarness, figure
from tests.waiting import until

HIGH, LOW = "high_priority", "low_priority"


class TestPriority:
    def test_a_high_task_does_not_wait_for_5000_low_ones(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path, HIGH, LOW) as scene:
            nap = scene.task("nap")
            scene.many(nap.options(queue=LOW).s(1.0, "low") for _ in range(5000))
            scene.worker("-Q", HIGH)
            scene.worker("-Q", LOW)
            scene.rabbit.wait_consumed(HIGH, LOW)
            scene.ledger.wait(1, "started", key="low")

            waits = []
            for number in range(20):
                began = time.time()
                scene.task("mark").options(queue=HIGH).delay(key=f"high {number}")
                ran = scene.ledger.wait(1, "ran", key=f"high {number}")
                waits.append(ran[0]["at"] - began)

            waiting = scene.rabbit.ready(LOW)
            figure(
                "2",
                f"publish to start with {waiting} low tasks waiting: median "
                f"{statistics.median(waits) * 1000:.1f} ms, worst {max(waits) * 1000:.1f} ms of 20",
            )
            assert waiting > 4000
            assert statistics.median(waits) < 1.0  # one low task alone takes as long

    def test_strict_priority_in_one_worker(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path, HIGH, LOW) as scene:
            nap = scene.task("nap")
            for queue in (LOW, HIGH):
                scene.many(nap.options(queue=queue).s(0.01, queue) for _ in range(100))

            # All are here at once: that the broker sends late is no matter of priority.
            scene.worker("-Q", f"{HIGH},{LOW}", "-c", "2", "--prefetch", "100")

            started = [line["queue"] for line in scene.ledger.wait(200, "started")]
            low_before = started[: 199 - started[::-1].index(HIGH)].count(LOW)
            figure("2", f"one worker, strict: {low_before} of 100 low tasks before the last high")
            assert low_before <= 30

    def test_weights_give_each_queue_its_share(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path, HIGH, LOW) as scene:
            nap = scene.task("nap")
            for queue in (LOW, HIGH):
                scene.many(nap.options(queue=queue).s(0.01, queue) for _ in range(150))

            scene.worker("-Q", f"{HIGH}:3,{LOW}:1", "-c", "2", "--prefetch", "150")

            # Not the first ones: they come from the queue whose consumer stood first.
            started = [line["queue"] for line in scene.ledger.wait(300, "started")][20:140]
            share = started.count(HIGH) / len(started)
            figure("2", f"one worker, weights 3 to 1: {share:.0%} of the tasks were high ones")
            assert share == pytest.approx(0.75, abs=0.08)


class TestKindsOfQueues:
    def test_a_retry_returns_to_a_queue_that_is_full(self, vhost_url: str, tmp_path: Path):
        gate = tmp_path / "gate"
        with WorkerHarness(vhost_url, tmp_path, "bounded") as scene:
            scene.worker("-c", "1", "--prefetch", "1")
            retried = scene.send("fails_when", path=str(gate))
            scene.ledger.wait(1, "started", id=retried)
            # The one thread is busy, the prefetch is used up: what is published now stays.
            scene.many(scene.task("nap").s(0.2, str(number)) for number in range(5))
            assert scene.rabbit.ready("bounded") == 5

            gate.touch()

            again = scene.ledger.wait(1, "ran", id=retried)[0]
            assert again["attempt"] == 2
            assert again["queue"] == "bounded"
            scene.ledger.wait(5, "ran", task="work.nap")
            until(lambda: scene.rabbit.depth("bounded.due") == (0, 1), "bounded.due to be empty")
            assert scene.rabbit.ready("bounded.dlq") == 0

    def test_classic_queues_work(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path, "classic") as scene:
            worker = scene.worker()
            scene.send("flaky", failures=1)
            scene.send("rejects")
            scene.many(scene.task("mark").s(key="k") for _ in range(50))

            scene.ledger.wait(50, "ran", task="work.mark")
            assert scene.ledger.wait(1, "ran", task="work.flaky")[0]["attempt"] == 2
            [(_, properties, _)] = scene.rabbit.letters("classic")
            assert properties.headers["rmqwork-error-reason"] == "rejected"
            assert worker.stop() == 0
            assert scene.rabbit.ready("classic") == 0


class TestPrefetch:
    def test_it_grows_with_the_throughput_and_shrinks(
        self, broker: Broker, vhost_url: str, tmp_path: Path
    ):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            scene.worker("-c", "4", "--async-concurrency", "1")
            scene.rabbit.wait_consumed("default")
            first = until(lambda: scene.prefetches(broker), "the broker's list of consumers")[0]

            noop, published = scene.task("noop"), 0
            began = time.monotonic()

            def grown() -> int:
                nonlocal published
                scene.many(noop.s() for _ in range(3000))
                published += 3000
                return max((count for count in scene.prefetches(broker) if count > 30), default=0)

            most = until(grown, "a larger prefetch under load")
            scene.rabbit.wait_ready("default", 0)
            rate = published / (time.monotonic() - began)
            least = until(
                lambda: [count for count in scene.prefetches(broker) if count < most * 0.4],
                "a smaller prefetch without load",
            )[0]
            figure("6", f"prefetch: {first} at first, {most} at {rate:.0f} no-ops/s, then {least}")
            assert first == 1 + 2  # the smaller lane, and two in reserve
