"""``rmqwork bench`` on a broker of the user's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

from rmqwork._admin.management import Management, likely_urls
from rmqwork.testing.broker import Broker


def test_it_measures_and_leaves_no_queue_of_its_own(broker: Broker, vhost_url: str):
    ended = subprocess.run(
        [sys.executable, "-m", "rmqwork", "bench", "--tasks", "50", "--size", "100", "--json"],
        env={**os.environ, "RMQWORK_BROKER": vhost_url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert {"publish_many", "tasks in threads", "tasks on the event loop"} <= figures.keys()
    assert all(one["value"] > 0 and one["unit"] in ("1/s", "ms") for one in figures.values())
    assert not [name for name in _queues(broker, vhost_url) if "bench" in name]


def test_a_broker_that_is_not_there_is_said():
    ended = subprocess.run(
        [sys.executable, "-m", "rmqwork", "bench", "--broker", "amqp://guest:guest@127.0.0.1:1/"],
        env={**os.environ, "RMQWORK_PUBLISH_TIMEOUT": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 4, ended.stderr
    assert "no connection" in ended.stderr
    assert "Traceback" not in ended.stderr


def _queues(broker: Broker, url: str) -> list[str]:
    management = Management(broker.management_url or likely_urls(broker.url)[0])
    name = urlsplit(url).path[1:]
    return [queue["name"] for queue in json.loads(management.call("GET", f"queues/{name}"))]
