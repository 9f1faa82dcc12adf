"""`tools/setup` on machines that are made up: programs that write down how they were called."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[3] / "tools" / "setup"
SERVERS = ("rabbitmq-server", "redis-server", "postgres", "mariadbd", "dot")
PACKAGES = ("rabbitmq-server", "redis-server", "postgresql", "mariadb-server", "graphviz")

# What packages do when they are installed: start a service by these names.
APT_GET = """
for word; do case $word in DPkg::Path=*)
  PATH=${word#DPkg::Path=}; invoke-rc.d redis-server start; invoke-rc.d cron start
esac; done
"""


class Machine:
    """A machine that has the programs that it is given, and a Debian's apt-get.

    Args:
        folder: for its programs.
        setup: the tool's module.
    """

    def __init__(self, folder: Path, setup: ModuleType) -> None:
        self._bin = folder / "bin"
        self._calls = folder / "calls"
        self._calls.touch()
        self._bin.mkdir()
        self.setup = setup
        self.tools: list[tuple[str, ...]] = []
        for name in ("apt-cache", "invoke-rc.d", "update-rc.d"):
            self.has(name)
        self.has("apt-get", APT_GET)

    @property
    def path(self) -> str:
        """Where programs are looked for."""
        return f"{self._bin}:/usr/bin:/bin"

    def has(self, name: str, does: str = "", code: int = 0) -> None:
        """Give it a program."""
        program = self._bin / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self._calls}\n{does}\nexit {code}\n')
        program.chmod(0o755)

    def called(self, name: str) -> list[str]:
        """How a program was called."""
        lines = self._calls.read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.split()[0] == name]

    def run(self, tool: str, *arguments: str) -> None:
        """Take the place of `run` of the module."""
        self.tools.append((tool, *arguments))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A chroot of Debian where root has nothing but Python."""
    spec = importlib.util.spec_from_loader("setup", SourceFileLoader("setup", str(TOOL)))
    assert spec is not None
    setup = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "setup", setup)
    assert spec.loader is not None
    spec.loader.exec_module(setup)
    machine = Machine(tmp_path, setup)
    for name in ("RMQWORK_BROKER", "RMQWORK_TEST_BROKER", "RMQWORK_RABBITMQ_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", machine.path)
    monkeypatch.setattr(setup, "SYSTEM_PATH", machine.path)
    for name in ("RABBITMQ", "POSTGRESQL"):
        monkeypatch.setattr(setup, name, tmp_path / "nowhere")
    monkeypatch.setattr(setup, "DEBIAN", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(setup, "run", machine.run)
    monkeypatch.setattr(setup, "in_chroot", lambda: True)
    monkeypatch.setattr(setup, "program", lambda name: (tmp_path / "bin" / name).exists())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return machine


def test_root_gets_all_that_is_missing_at_once_and_is_told_why(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.setup.main(["test"]) == 0

    update, install = machine.called("apt-get")
    assert update.endswith(" update")
    assert install.split()[-len(PACKAGES) :] == list(PACKAGES)
    said = capsys.readouterr().out
    assert "no Docker: this is a chroot" in said
    assert "installing it with apt-get" in said
    for package in PACKAGES:
        assert f"setup:   {package} (" in said
    assert machine.tools == []


def test_services_that_come_with_packages_stay_off_and_others_are_not_touched(
    machine: Machine,
) -> None:
    machine.setup.main(["test"])

    assert machine.called("invoke-rc.d") == ["cron start"]
    assert "redis-server disable" in machine.called("update-rc.d")


@pytest.mark.parametrize("target", ["demo", "test"])
def test_where_all_is_here_nothing_is_done_or_said(
    machine: Machine, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*SERVERS, "docker", "mmdebstrap"):
        machine.has(name)

    assert machine.setup.main([target]) == 0

    assert machine.called("apt-get") == []
    assert capsys.readouterr().out == ""


def test_somebody_who_is_not_root_is_told_what_is_missing(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    machine.has("dot")

    assert machine.setup.main(["test"]) == 0

    assert machine.called("apt-get") == []
    said = capsys.readouterr().out
    assert "going on without, for only root may install packages" in said
    assert "mariadb-server (results in MariaDB)" in said
    assert "graphviz" not in said


def test_another_system_than_debian_is_told_what_is_missing(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.setup, "DEBIAN", Path("/nonexistent"))

    assert machine.setup.main(["demo"]) == 0

    assert machine.called("apt-get") == []
    assert "rabbitmq-server (a RabbitMQ for the demo)" in capsys.readouterr().out


def test_apt_that_fails_is_quoted_and_the_rest_goes_on(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.has("apt-get", "echo E: no space left", 100)

    assert machine.setup.main(["test"]) == 0

    assert "apt-get update: E: no space left; going on without" in capsys.readouterr().out


def test_a_package_that_debian_does_not_know_is_left_out(machine: Machine) -> None:
    machine.has("apt-cache", 'case "$*" in *graphviz) exit 100;; esac')

    machine.setup.main(["test"])

    assert "graphviz" not in machine.called("apt-get")[1]
    assert "mariadb-server" in machine.called("apt-get")[1]


def test_where_docker_can_run_it_is_started_and_has_an_image_of_rabbitmq(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.setup, "in_chroot", lambda: False)
    monkeypatch.setattr(machine.setup, "capabilities", lambda: -1)

    machine.setup.main(["test"])

    assert {"docker.io", "iptables", "mmdebstrap"} <= set(machine.called("apt-get")[1].split())
    assert machine.tools == [
        ("docker-daemon",),
        ("rabbitmq-image", "sid", "rabbitmq:4-management"),
    ]


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (("capabilities", lambda: 0), "this container may not run containers"),
        (("in_chroot", lambda: True), "this is a chroot"),
    ],
)
def test_where_docker_cannot_run_it_is_not_installed(
    machine: Machine,
    patch: tuple[str, Callable[[], object]],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(machine.setup, "in_chroot", lambda: False)
    monkeypatch.setattr(machine.setup, *patch)

    machine.setup.main(["test"])

    assert f"no Docker: {reason}" in capsys.readouterr().out
    assert "docker.io" not in machine.called("apt-get")[1]


def test_the_demo_needs_one_broker_and_no_more(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.setup.main(["demo"])
    assert machine.called("apt-get")[1].split()[-1] == "rabbitmq-server"

    monkeypatch.setenv("RMQWORK_BROKER", "amqp://somewhere/")
    machine.setup.main(["demo"])
    assert len(machine.called("apt-get")) == 2


@pytest.mark.parametrize(("mount", "chroot"), [("/", False), ("/proc", True)])
def test_a_chroot_is_known_by_its_mounts_where_the_first_process_hides(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: str, chroot: bool
) -> None:
    monkeypatch.undo()
    mounts = tmp_path / "mounts"
    mounts.write_text(f"22 1 254:0 / {mount} rw - ext4 /dev/sda rw\n")
    monkeypatch.setattr(machine.setup, "MOUNTS", mounts)

    def refused(*_: object) -> bool:
        raise PermissionError

    monkeypatch.setattr(os.path, "samefile", refused)

    assert machine.setup.in_chroot() is chroot


def test_another_word_is_refused() -> None:
    done = subprocess.run([TOOL, "everything"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "usage: tools/setup venv|demo|test|containers" in done.stderr
