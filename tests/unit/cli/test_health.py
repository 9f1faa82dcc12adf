"""``rmqwork health``: what a container's health check runs."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from rmqwork._worker.health.health import HealthServer

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

ROOT = Path(__file__).parents[3]


class Worker:
    """A worker that is alive and consumes."""

    def __init__(self) -> None:
        self.last_tick = monotonic()
        self.liveness = SimpleNamespace(alive=True, silent={})
        self.says: dict[str, Any] = {"consuming": True, "started": True, "stopping": False}

    def detail(self) -> dict[str, Any]:
        return self.says


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def port(worker: Worker) -> Iterator[int]:
    server = HealthServer(worker, 0)
    yield server.port
    server.close()


@pytest.fixture(autouse=True)
def no_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RMQWORK_HEALTH_PORT", raising=False)


@pytest.mark.parametrize("check", [(), ("readyz",), ("livez",), ("startupz",)])
def test_a_worker_that_is_well(run: Run, port: int, check: tuple[str, ...]) -> None:
    code, out, err = run("health", *check, "--port", str(port))

    assert (code, json.loads(out)["ok"], err) == (0, True, "")


def test_a_worker_that_does_not_consume_is_alive_and_not_ready(
    run: Run, worker: Worker, port: int
) -> None:
    worker.says["consuming"] = False

    code, out, _ = run("health", "--port", str(port))
    alive, _, _ = run("health", "livez", "--port", str(port))

    assert (code, json.loads(out)["ok"], alive) == (1, False, 0)


def test_the_port_is_that_of_the_settings(
    run: Run, project: Path, worker: Worker, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.says["consuming"] = False
    (project / "pyproject.toml").write_text(f"[tool.rmqwork]\nhealth_port = {port}\n")
    assert run("health")[0] == 1

    worker.says["consuming"] = True
    assert run("health")[0] == 0
    monkeypatch.setenv("RMQWORK_HEALTH_PORT", str(free_port()))
    assert run("health")[0] == 1
    monkeypatch.setenv("RMQWORK_HEALTH_PORT", str(port))
    assert run("health")[0] == 0


def test_no_answer(run: Run) -> None:
    port = free_port()

    code, out, err = run("health", "--port", str(port))

    assert (code, out) == (1, "")
    assert err.startswith(f"no answer at port {port}: ")


def test_what_answers_without_http_is_no_worker(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def greet() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"220 mail.example.org\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        code, _, err = run("health", "--port", str(port))
        thread.join()

    assert code == 1
    assert err.startswith(f"no answer at port {port}: ")


def test_a_process_without_a_health_port_has_nothing_to_ask(run: Run) -> None:
    code, out, err = run("health")

    assert (code, out) == (0, "")
    assert "no health port is set" in err


def test_it_is_the_health_check_of_the_image_and_of_compose() -> None:
    image = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

    [command] = re.findall(r"^HEALTHCHECK [^\[]*CMD (\[.*\])$", image, re.MULTILINE)
    assert json.loads(command) == ["rmqwork", "health"]
    assert compose["x-worker"]["healthcheck"]["test"] == ["CMD", "rmqwork", "health"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
