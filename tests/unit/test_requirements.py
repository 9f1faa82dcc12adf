"""A test whose part of the machine is missing is skipped and named, or fails where it must run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.conftest import *  # noqa: F403
from tests import requirements
from rmqwork.testing import _private
_private.PLACES = ()
requirements.SYSTEM_PATH = ""
"""
TESTS = """
import pytest
from tests.requirements import require_module, require_program
from tests.stores import store

def test_that_needs_nothing(): ...

@pytest.mark.parametrize("number", range(2))
def test_of_a_broker(vhost_url, number): ...

def test_of_a_store():
    with store("mariadb"): ...

def test_of_a_program():
    require_program("dot", "graphviz")

def test_of_a_module():
    require_module("no_such_module")

def test_with_another_reason():
    pytest.skip("another reason")
"""

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the tests above on a machine that has nothing; returns exit code and last lines."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers = broker: x\nasyncio_default_fixture_loop_scope = function\n"
    )
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_parts.py").write_text(TESTS)

    def run(*arguments: str, **environment: str) -> tuple[int, list[str]]:
        kept = {key: val for key, val in os.environ.items() if not key.startswith("RMQWORK_")}
        kept |= {"PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    return run


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_last_lines_name_what_was_missing_and_why(run: Run, processes: str) -> None:
    # When tests run where there is no broker, no store, no graphviz
    code, lines = run("-n", processes, "-k", "not reason")

    # Then they are skipped, and the end says for what
    assert code == 0, lines
    *_, title, broker, graphviz, mariadb, module, advice, sums = lines
    assert "skipped for what is missing here" in title
    assert [line for line in lines if line.startswith("SKIPPED")] == []
    assert module.split(maxsplit=1) == [
        "1",
        "the Python package no_such_module: No module named 'no_such_module'",
    ]
    assert broker.split(maxsplit=2)[:2] == ["2", "RabbitMQ:"]
    for reason in ("RMQWORK_BROKER is not set", "no Docker daemon answers", "no rabbitmq-server"):
        assert reason in broker
    assert graphviz.split(maxsplit=1) == [
        "1",
        "graphviz: no program dot (Debian, Ubuntu: apt-get install graphviz)",
    ]
    assert mariadb.split(maxsplit=2)[:2] == ["1", "mariadb-server:"]
    assert "tools/setup test" in advice
    assert sums.startswith("1 passed, 5 skipped")


def test_other_reasons_are_told_as_ever(run: Run) -> None:
    code, lines = run("-rs", "-k", "reason or program")

    assert code == 0
    (line,) = [line for line in lines if line.startswith("SKIPPED")]
    assert "another reason" in line


def test_in_strict_mode_they_fail(run: Run) -> None:
    code, lines = run("-rfE", RMQWORK_TEST_STRICT="1")

    text = "\n".join(lines)
    assert code == 1
    for part in ("mariadb-server: no program", "graphviz: no program", "RabbitMQ: given: RMQWORK"):
        assert f"missing here: {part}" in text
    assert lines[-1].startswith("3 failed, 1 passed, 1 skipped, 2 errors")


def test_a_broker_that_was_named_is_not_missing_but_broken(run: Run) -> None:
    code, lines = run("-k", "broker", RMQWORK_TEST_BROKER="docker")

    assert code == 1
    assert "BrokerUnavailable" in "\n".join(lines)
    assert "2 errors" in lines[-1]
