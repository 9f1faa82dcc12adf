"""A queue gets other properties while it is published to and worked on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rmqwork.testing.broker import Broker
from tests.acceptance.support import ROOT, WorkerHarness, manage
from tests.waiting import until

APP = """
from rmqwork import App, Queue

app = App("work", queues=[Queue("classic")])
"""
RATE = 500
SAMPLED = 6.0
"""Seconds: the broker's statistics are at most 5 s old."""
KILLS = [float(at) for at in os.environ.get("MIGRATE_KILLS", "2.0").split(",") if at]
UNDO_KILLS = [float(at) for at in os.environ.get("MIGRATE_UNDO_KILLS", "1.5").split(",") if at]


class Publisher(threading.Thread):
    """Publishes `RATE` messages a second, confirmed, until it is stopped."""

    def __init__(self, scene: WorkerHarness) -> None:
        super().__init__(name="publisher", daemon=True)
        self._scene = scene
        self._stopped = threading.Event()
        self.ids: list[str] = []
        self.problem: Exception | None = None

    def run(self) -> None:
        mark, fails_once = self._scene.task("mark"), self._scene.task("flaky")
        began = time.monotonic()
        try:
            while not self._stopped.is_set():
                wanted = int((time.monotonic() - began) * RATE) - len(self.ids)
                many = [mark.s(key="k") for _ in range(max(0, wanted - 1))]
                if wanted > 0:  # one in each bundle is retried, and returns by the queue's name
                    many.append(fails_once.s(failures=1))
                    self.ids += self._scene.many(many)
                time.sleep(0.02)
        except Exception as error:
            self.problem = error

    def stop(self) -> None:
        self._stopped.set()
        self.join(30)
        assert self.problem is None, self.problem


@pytest.mark.slow
def test_from_classic_to_quorum_and_back_under_load(
    vhost_url: str, broker: Broker, tmp_path: Path
) -> None:
    # Given a worker and a publisher of the old version: 500 messages a second to a classic queue
    (tmp_path / "new_version.py").write_text(APP)
    management, place = manage(broker, vhost_url)
    scene = WorkerHarness(vhost_url, tmp_path, "classic")
    publisher = Publisher(scene)
    with scene:
        worker = scene.worker()
        scene.rabbit.wait_consumed("classic")
        publisher.start()
        until(lambda: scene.ledger.count("ran") > RATE, "a worker at work")

        def types() -> dict[str, str]:
            found = json.loads(management.call("GET", f"queues/{place}?columns=name,type"))
            return {queue["name"]: queue["type"] for queue in found}

        # When the queue is migrated, by an operator who is killed at first, and undoes it
        for seconds in KILLS:
            _kill(_migrate(tmp_path, vhost_url, broker), seconds)
        for seconds in UNDO_KILLS:
            _kill(_migrate(tmp_path, vhost_url, broker, "--undo"), seconds)
            print(sorted(name for name in types() if name.startswith("classic")))
        undone = _migrate(tmp_path, vhost_url, broker, "--undo")
        assert undone.wait(60) == 0

        # Then the old queue is in service
        assert types()["classic"] == "classic"
        assert "classic.migrating" not in types()
        so_far = scene.ledger.count("ran")
        until(lambda: scene.ledger.count("ran") > so_far + RATE, "a worker at work again")

        # When it is migrated after all
        migrating = _migrate(tmp_path, vhost_url, broker)
        assert migrating.wait(60) == 0
        time.sleep(random.uniform(0.5, 1.0))
        publisher.stop()

        # Then each message has run, few of them twice, and the worker was not restarted
        ids = set(publisher.ids)

        def left() -> int:
            return len(ids - {line["id"] for line in scene.ledger.lines("ran")})

        until(lambda: not left(), "the last messages", every=0.2)
        ran = [line["id"] for line in scene.ledger.lines("ran") if line["id"] in ids]
        twice = len(ran) - len(ids)
        print(f"{len(ids)} messages, {twice} ran twice, {len(KILLS)} kills")
        assert types()["classic"] == "quorum"
        assert "classic.migrating" not in types()
        assert scene.rabbit.depth("classic.dlq") == (0, 0)
        assert worker.process.poll() is None
        assert worker.stop() == 0


def _kill(migrating: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        migrating.wait(seconds)
    migrating.kill()
    print(f"killed after {seconds:g} s: {migrating.wait(10)}")


def _migrate(folder: Path, url: str, broker: Broker, *more_options: str) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RMQWORK_")}
    more = {"RMQWORK_BROKER": url, "PYTHONPATH": f"{ROOT}:{folder}"}
    if broker.management_url:
        more["RMQWORK_MANAGEMENT_URL"] = broker.management_url
    verb = ["topology", "migrate", "new_version:app", "classic", "--sampled", str(SAMPLED)]
    verb += more_options
    return subprocess.Popen([sys.executable, "-m", "rmqwork", *verb], env={**kept, **more})
