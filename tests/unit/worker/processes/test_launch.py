"""Start a template process: what it is told, and what it inherits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rmqwork._worker.processes.launch import Started, start_template
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def command_line(pid: int) -> list[str]:
    # For a moment after the exec it has none.
    line = until(lambda: Path(f"/proc/{pid}/cmdline").read_text(), "a command line")
    return line.split("\0")[:-1]


@pytest.fixture
def started(tmp_path: Path) -> Started:
    """A template of an app that cannot be found, so that it ends by itself."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return start_template("nowhere_at_all:app", False, environment)


def test_it_is_told_its_socket_its_app_and_its_parent(started: Started) -> None:
    assert started.app == "nowhere_at_all:app"
    try:
        line = command_line(started.process.pid)
        at = line.index("-m")
        fd, app, parent, *options = line[at + 2 :]

        assert line[at + 1] == "rmqwork._executor.template"
        assert (app, int(parent), options) == (started.app, os.getpid(), ["--no-preload"])
        assert int(fd) > 2
        assert os.getsid(started.process.pid) == started.process.pid  # Ctrl-C does not reach it
        assert os.getsid(0) != started.process.pid
    finally:
        started.process.kill()
        started.process.wait()
        started.sock.close()


def test_its_socket_ends_with_it(started: Started) -> None:
    """Our copy of its end is closed: nothing else would tell us that it is dead."""
    started.process.kill()
    started.process.wait()
    started.sock.settimeout(10)
    data = b"?"
    while data:
        try:
            data = started.sock.recv(4096)
        except ConnectionResetError:
            break
    started.sock.close()


def test_it_runs_with_this_interpreters_options_and_the_environment_it_is_given() -> None:
    code = (
        "import os, sys\n"
        "from rmqwork._worker.processes.launch import start_template\n"
        "started = start_template('nowhere:app', True, {**os.environ, 'RMQWORK_SAID': 'yes'})\n"
        "name, line = f'/proc/{started.process.pid}', ''\n"
        "while not line:\n"  # for a moment after the exec it has none
        "    line = open(f'{name}/cmdline').read()\n"
        "print(*line.split(chr(0))[1:-1])\n"
        "print('RMQWORK_SAID=yes' in open(f'{name}/environ').read().split(chr(0)))\n"
        "started.process.kill()\n"
        "started.process.wait()\n"
    )
    command = [sys.executable, "-O", "-W", "ignore::UserWarning", "-X", "utf8", "-c", code]
    line, said = subprocess.check_output(command, text=True, timeout=60).splitlines()

    options = line.split(" -m ")[0].split()
    assert "-O" in options
    assert "-Wignore::UserWarning" in options
    assert "utf8" in options
    assert "--no-preload" not in line
    assert said == "True"


def test_one_that_cannot_be_started_leaves_no_socket_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs: list[socket.socket] = []
    pair = socket.socketpair

    def noted() -> tuple[socket.socket, socket.socket]:
        ours, their = pair()
        theirs.append(their)
        return ours, their

    monkeypatch.setattr(socket, "socketpair", noted)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        start_template("app:app", True, None)

    assert theirs[0].fileno() == -1
