"""What the demo needs, and what it says where that is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("PIL")

from rmqwork._cli.demo.options import EXIT_CANNOT, DemoOptions, run
from rmqwork._cli.entry import main
from rmqwork._cli.exit_codes import NO_BROKER
from rmqwork.testing import _private


def test_without_pillow_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert run(DemoOptions()) == EXIT_CANNOT
    assert "pip install 'rmqwork[demo]'" in capsys.readouterr().err


def test_without_a_broker_it_names_each_way_that_failed_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Given root's machine with apt, without Docker and RabbitMQ
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\n>{tmp_path}/installed\n")
    apt.chmod(0o755)
    monkeypatch.setattr(_private, "PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    for name in ("RMQWORK_BROKER", "RMQWORK_TEST_BROKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    # When the demo is played
    code = main(["demo"])

    # Then it ends as every verb does without a broker, and has installed none
    assert code == NO_BROKER
    (line,) = [s for s in capsys.readouterr().err.splitlines() if s.startswith("rmqwork: error: ")]
    for reason in (
        "given: RMQWORK_BROKER is not set",
        "docker: no Docker daemon answers",
        "private: no rabbitmq-server is installed",
    ):
        assert reason in line
    assert not (tmp_path / "installed").exists()
