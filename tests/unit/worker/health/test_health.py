"""Probes and metrics over HTTP."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from rmqwork._worker.health.health import STALLED, HealthServer
from rmqwork.errors import ConfigurationError


class Fake:
    """A worker that is well."""

    def __init__(self) -> None:
        self.last_tick = monotonic()
        self.liveness = SimpleNamespace(alive=True, silent={})
        self.broken = 0
        self.says: dict[str, Any] = {
            "worker": 'a "b"',
            "app": "shop",
            "consuming": True,
            "publishing": True,
            "started": True,
            "stopping": False,
            "executors": [{"state": "ready"}],
            "running": 3,
            "waiting": 0,
            "settling": 0,
            "dropped_replies": 1,
            "queues": ["orders", "mail"],
            "paused": {"orders": ["kill switch"]},
            "kill_switches": {"orders": {"state": "waiting"}},
        }

    def detail(self) -> dict[str, Any]:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("dictionary changed size during iteration")
        return self.says


@pytest.fixture
def worker() -> Fake:
    return Fake()


@pytest.fixture
def port(worker: Fake) -> Iterator[int]:
    server = HealthServer(worker, 0)
    yield server.port
    server.close()


def ask(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_worker_that_is_well(worker: Fake, port: int) -> None:
    worker.broken = 2  # it changes while it is looked at
    for path in ("/startupz", "/livez", "/readyz"):
        status, body = ask(port, path)
        assert (status, json.loads(body)["ok"]) == (200, True), path
    assert ask(port, "/")[0] == 404


def test_before_an_executor_was_ready(worker: Fake, port: int) -> None:
    worker.says |= {"started": False, "consuming": False}

    assert ask(port, "/startupz")[0] == 503
    assert ask(port, "/livez")[0] == 200


def test_without_a_broker_it_is_live_and_not_ready(worker: Fake, port: int) -> None:
    worker.says["consuming"] = False

    assert [ask(port, path)[0] for path in ("/startupz", "/livez", "/readyz")] == [200, 200, 503]


def test_it_is_not_live_when_the_loop_stands_or_nobody_answers(worker: Fake, port: int) -> None:
    worker.last_tick -= STALLED + 1
    assert ask(port, "/livez")[0] == 503

    worker.last_tick = monotonic()
    worker.liveness = SimpleNamespace(alive=False, silent={4711: 61.0})
    status, body = ask(port, "/livez")
    assert (status, json.loads(body)["silent_executors"]) == (503, {"4711": 61.0})


def test_metrics(port: int) -> None:
    status, body = ask(port, "/metrics")

    assert status == 200
    assert 'rmqwork_running{app="shop",worker="a \\"b\\""} 3\n' in body
    assert 'state="ready"} 1\n' in body
    assert 'queue="orders",by="kill switch"} 1\n' in body
    assert 'queue="orders",by="operator"} 0\n' in body
    assert 'rmqwork_kill_switch{app="shop",worker="a \\"b\\"",queue="orders"} 2\n' in body
    assert 'queue="mail"} 0\n' in body
    assert "# TYPE rmqwork_dropped_replies_total counter\n" in body


def test_by_all_families_of_addresses_that_this_machine_has(port: int) -> None:
    hosts = ["127.0.0.1"]
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        hosts.append("[::1]")
    assert [ask(port, "/livez", host)[0] for host in hosts] == [200] * len(hosts)


def test_a_port_that_is_taken(worker: Fake, port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"health port {port} cannot be used"):
        HealthServer(worker, port)
