"""What tasks do to their process does not cost the worker's connections."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rmqwork._admin.management import Management
from rmqwork.testing.broker import Broker, vhost
from tests.chaos.heavy_app import app
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(240)]
HEARTBEAT = 4
HELD = 18  # seconds: more than four heartbeats


@contextmanager
def worker(url: str, done: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "rmqwork", "worker", "tests.chaos.heavy_app:app"]
    environment = {
        **os.environ,
        "RMQWORK_BROKER": url,
        "RMQWORK_HEARTBEAT": str(HEARTBEAT),
        "HEAVY_DONE": str(done),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "-p", "3", "-c", "1"], env=environment, stdout=file, stderr=file
        )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(40) == 0, log.read_text()


def connections(broker: Broker, url: str) -> set[str]:
    """The connections of the worker, by their peers' ports: another one has another port."""
    assert broker.management_url is not None
    name = url.rpartition("/")[2]
    found = json.loads(Management(broker.management_url).call("GET", "connections"))
    return {
        one["name"]
        for one in found
        if one.get("vhost") == name
        and "worker" in str(one.get("client_properties", {}).get("connection_name"))
    }


def test_the_gil_held_in_c_and_all_cores_burnt(
    own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, log = tmp_path / "done", tmp_path / "log"
    done.touch()
    with vhost(own_broker) as url:
        monkeypatch.setenv("RMQWORK_BROKER", url)
        app.__dict__.pop("settings", None)  # read once, and maybe before
        try:
            with worker(url, done, log):
                until(lambda: len(connections(own_broker, url)) == 3, log.read_text, 40, 0.1)
                before = connections(own_broker, url)

                # When two executors hold their GIL for four heartbeats, and a third burns all cores
                app.send_task("heavy.hold_the_gil", {"seconds": HELD})
                app.send_task("heavy.hold_the_gil", {"seconds": HELD})
                app.send_task("heavy.burn", {"seconds": HELD, "processes": 4})
                app.send_task("heavy.quick", {})
                until(lambda: len(done.read_text().split()) >= 4, log.read_text, HELD + 60, 0.1)

                # Then all have run once, over the connections that there were
                assert Counter(done.read_text().split()) == {"held": 2, "burnt": 1, "quick": 1}
                assert connections(own_broker, url) == before
                assert "lost" not in log.read_text()
        finally:
            app.close()
