"""Many suspects at once: the culprit is found, and nobody else waits long, or pays."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.acceptance.support import TIMEOUT, WorkerHarness, figure
from tests.waiting import until


def test_the_culprit_among_many_coroutines_is_found_in_seconds(vhost_url: str, tmp_path: Path):
    # Given one process with 200 tasks that run, one of which will kill it whenever it runs
    gate, count = tmp_path / "gate", 200
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("-p", "2", "--async-concurrency", str(count), "--prefetch", "400")
        culprit = scene.send("adies", path=str(gate))
        innocents = {scene.send("ainnocent", path=str(gate)) for _ in range(count - 1)}
        scene.ledger.wait(count, "started")

        # When it does
        gate.touch()
        ran = scene.ledger.wait(count - 1, "ran")

        # Then the others end with no attempt spent, and the culprit alone is dead-lettered
        took = max(line["at"] for line in ran) - gate.stat().st_mtime
        [(_, properties, _)] = scene.rabbit.letters("default")
        assert properties.message_id == culprit
        assert properties.headers["rmqwork-error-reason"] == "worker-crashed"
        assert {line["id"] for line in ran} == innocents
        assert {line["attempt"] for line in ran} == {1}
        deaths = len(worker.log("killed by SIGKILL, with"))
        figure("4", f"{count} suspects cleared in {took:.1f} s, with {deaths} deaths")
        assert deaths <= 10
        assert worker.stop() == 0


def test_who_kills_whole_pods_is_given_up_and_its_neighbours_never_pay(
    vhost_url: str, tmp_path: Path
):
    # Given suspects, one of which kills the worker process, and so all, whenever it runs
    with WorkerHarness(vhost_url, tmp_path) as scene:
        naps = [scene.task("nap").s(seconds=0.05) for _ in range(24)]
        innocents = {*scene.many(naps[:8])}
        culprit = scene.send("kills_the_pod")
        innocents |= {*scene.many(naps[8:])}
        while (taken := scene.rabbit.take("default")) is not None:
            _, properties, body = taken
            scene.rabbit.channel.basic_publish("", "default.suspects", body, properties)

        # When pods come and go
        codes: list[int] = []
        while not (ends := scene.rabbit.ready("default.dlq")):
            pod = scene.worker("-c", "4")
            until(
                lambda pod=pod: pod.process.poll() is not None or scene.rabbit.ready("default.dlq"),
                "the end of a pod, or of its killer",
                TIMEOUT,
            )
            if pod.process.poll() is not None:
                codes.append(pod.wait())
        # (one that was running when its pod died has two lines)
        until(
            lambda: {line["id"] for line in scene.ledger.lines("ran")} >= innocents,
            "all innocents to have run",
            TIMEOUT,
        )
        ran = scene.ledger.lines("ran")

        # Then each time it was alone but for the first, and the others end with no attempt spent
        assert ends == 1
        [(_, properties, _)] = scene.rabbit.letters("default")
        assert properties.message_id == culprit
        assert properties.headers["rmqwork-error-reason"] == "worker-crashed"
        assert {line["id"] for line in ran} == innocents
        assert {line["attempt"] for line in ran} == {1}
        assert set(codes) == {-signal.SIGKILL}
        assert len(codes) in (3, 4)  # from RabbitMQ 4.3 on the first count is free
        assert pod.stop() == 0
        assert scene.rabbit.ready("default.suspects") == 0
