"""The pytest plugin, as a project that uses it sees it: in a pytest of its own, in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rmqwork.testing._node import free_ports

ROOT = Path(__file__).parents[3]
APP = """
from rmqwork import App, Queue, Retry
from tenacity import wait_fixed

app = App("shop", queues=[Queue("orders")], default_queue="orders")

@app.task
def add(x: int, y: int) -> int:
    return x + y

@app.task(retry=Retry(max_attempts=3, wait=wait_fixed(3600)))
def fail() -> None:
    raise ValueError("as always")
"""
TESTS = """
import unittest
from rmqwork.testing import memory
from shop import add, app, fail

def test_the_app_is_in_memory(rmqwork_app):
    assert rmqwork_app is app
    assert app.settings.broker[0].startswith("memory://")

def test_retries(rmqwork_app, run_all, published):
    fail.delay()
    assert published.one(fail).queue == "orders"
    assert run_all().count(fail) == 3

def test_each_test_has_a_broker_of_its_own(rmqwork_kit):
    assert rmqwork_kit.run_all().runs == ()
    assert rmqwork_kit.dead_letters() == []

def test_eager(eager):
    add.delay(1, 2)
    assert eager.runs[0].succeeded

class TestWithUnittest(unittest.TestCase):
    def test_it(self):
        kit = self.enterContext(memory(app))
        add.delay(1, 2)
        assert kit.run_all().count(add) == 1
"""


def project(folder: Path, ini: str = "") -> Path:
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = .\n{ini}\n")
    (folder / "shop.py").write_text(APP)
    (folder / "test_shop.py").write_text(TESTS)
    return folder


def run_pytest(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run pytest there; the plugin as its entry point would load it."""
    command = [sys.executable, "-m", "pytest", "-p", "rmqwork.testing.plugin", "-q", *arguments]
    inherited = {key: val for key, val in os.environ.items() if not key.startswith("RMQWORK_")}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_app_is_named_in_the_ini_file(tmp_path: Path):
    code, out = run_pytest(project(tmp_path, "rmqwork_app = shop:app"))

    assert code == 0, out
    assert "5 passed" in out


def test_it_works_with_xdist(tmp_path: Path):
    code, out = run_pytest(project(tmp_path), "-n", "2", RMQWORK_APP="shop:app")

    assert code == 0, out
    assert "5 passed" in out


def test_the_app_is_named_where_rmqwork_finds_it(tmp_path: Path):
    folder = project(tmp_path)
    (folder / "rmqwork.toml").write_text('app = "shop:app"\n')

    code, out = run_pytest(folder, "-k", "retries or memory")

    assert code == 0, out


def test_a_marker_or_a_fixture_of_ones_own_names_another_app(tmp_path: Path):
    folder = project(tmp_path)
    (folder / "test_shop.py").write_text(
        """
import pytest
from rmqwork import App
from shop import app

other = App("other")

@pytest.mark.rmqwork_app(other)
def test_by_marker(rmqwork_app):
    assert rmqwork_app is other

@pytest.mark.rmqwork_app("shop:app")
def test_by_path(rmqwork_app):
    assert rmqwork_app is app

class TestOwn:
    @pytest.fixture
    def rmqwork_target(self):
        return app

    def test_by_fixture(self, rmqwork_app):
        assert rmqwork_app is app

def test_without_any_there_is_an_empty_one(rmqwork_app, run_all):
    @rmqwork_app.task
    def hello() -> None: ...

    hello.delay()
    assert run_all().count(hello) == 1
"""
    )

    code, out = run_pytest(folder, "--strict-markers")

    assert code == 0, out
    assert "4 passed" in out


def test_an_app_that_is_not_there_is_said(tmp_path: Path):
    code, out = run_pytest(project(tmp_path, "rmqwork_app = shop:missing"), "-k", "memory")

    assert code == 1
    assert "rmqwork_app" in out
    assert "'shop' has no 'missing'" in out


def test_the_plugin_loads_nothing_of_rmqwork_before_it_is_used():
    """Whoever has rmqwork installed has it loaded in each run of pytest."""
    code = (
        "import sys, pytest; before = set(sys.modules); import rmqwork.testing.plugin; "
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('importlib')))"
    )

    out = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)

    assert out.strip() == "['rmqwork', 'rmqwork.testing', 'rmqwork.testing.plugin']"


def test_a_test_that_asks_for_rabbitmq_has_a_virtual_host_of_its_own(
    tmp_path: Path, vhost_url: str, broker: object
):
    folder = project(tmp_path, "rmqwork_app = shop:app")
    (folder / "test_shop.py").write_text(
        """
import pytest
from shop import add, app

@pytest.mark.parametrize("n", [1, 2])
def test_real(rmqwork_rabbitmq, rmqwork_app, run_all, n):
    assert app.settings.broker == (rmqwork_rabbitmq,)
    add.apply_async((n, n), countdown=0.2)
    assert [run.task for run in run_all().runs] == ["shop.add"]
"""
    )
    environment = {"RMQWORK_BROKER": broker.url}  # type: ignore[attr-defined]
    if management := broker.management_url or os.environ.get("RMQWORK_MANAGEMENT_URL"):  # type: ignore[attr-defined]
        environment["RMQWORK_MANAGEMENT_URL"] = management

    code, out = run_pytest(folder, **environment)

    assert code == 0, out
    assert "2 passed" in out


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs a test of a real broker as on a machine with no Docker and no server, but with apt."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("apt-get", "sudo"):
        program = programs / name
        program.write_text(f"#!/bin/sh\n>{tmp_path}/installed\n")
        program.chmod(0o755)
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder, "rmqwork_app = shop:app")
    (folder / "conftest.py").write_text(
        "import rmqwork.testing._private\nrmqwork.testing._private.PLACES = ()\n"
    )
    (folder / "test_shop.py").write_text("def test_real(rmqwork_rabbitmq, rmqwork_app): ...\n")

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        docker = f"unix://{tmp_path}/no.sock"
        return run_pytest(
            folder, "-rs", *arguments, PATH=str(programs), DOCKER_HOST=docker, **environment
        )

    return run


def test_without_any_broker_a_test_of_one_is_skipped_with_each_reason(bare, tmp_path: Path):
    code, out = bare()

    assert code == 0, out
    assert "1 skipped" in out
    for reason in (
        "given: RMQWORK_BROKER is not set",
        "docker: no Docker daemon answers",
        "private: no rabbitmq-server is installed",
    ):
        assert reason in out
    assert not (tmp_path / "installed").exists()


def test_who_asks_for_a_broker_that_is_not_there_is_not_skipped(bare):
    (port,) = free_ports(1)

    for code, out in (bare("--rmqwork-rabbitmq"), bare(RMQWORK_BROKER=f"amqp://127.0.0.1:{port}/")):
        assert code == 1, out
        assert "BrokerUnavailable" in out
        assert "1 error" in out


@pytest.mark.parametrize("name", ["rmqwork_app", "rmqwork_rabbitmq", "published", "eager"])
def test_fixtures_tell_what_they_are(tmp_path: Path, name: str):
    _, out = run_pytest(tmp_path, "--fixtures")

    assert name in out
