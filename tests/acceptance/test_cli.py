"""The command line as its users see it: real processes, a real broker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.requirements import require_module
from tests.waiting import until

APP = """
from rmqwork import App, Queue, Reject, TaskMessage

app = App("shop", queues=[Queue("high_priority"), Queue("low_priority")])

class Resize(TaskMessage, name="images.resize", queue="high_priority"):
    width: int

@app.task
def resize(message: Resize) -> int:
    if message.width == 13:
        raise ValueError("evil \\x1b[31m[bold]width")
    if message.width == 14:
        raise Reject("no thanks")
    return message.width
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path, vhost_url: str) -> dict[str, str]:
    (tmp_path / "shop.py").write_text(APP)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RMQWORK_")}
    source = str(Path(__file__).parents[2])
    return {**kept, "PYTHONPATH": source, "RMQWORK_BROKER": vhost_url, "RMQWORK_APP": "shop:app"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    def run_verb(
        *arguments: str, stdin: str = "", **changed: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rmqwork", *arguments],
            cwd=tmp_path, env={**environment, **changed}, input=stdin,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run_verb


@contextmanager
def started(tmp_path: Path, environment: dict[str, str], *arguments: str) -> Iterator[Any]:
    """A verb that goes on, its stderr in a file; killed in the end if it still runs."""
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rmqwork", *arguments],
            cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def test_from_publish_to_dead_letter(tmp_path: Path, environment: dict[str, str], run: Run) -> None:
    # Given queues that nobody has declared
    state = json.loads(run("queues", "--json").stdout)
    assert [queue["exists"] for queue in state["queues"]] == [False, False]

    # When three messages are published, of which two fail
    lines = '{"width": 1}\n{"width": 13}\n{"width": 14}\n'
    done = run("publish", "images.resize", "--lines", "-", stdin=lines)
    assert done.returncode == 0, done.stderr
    _, failed, rejected = done.stdout.split()
    state = json.loads(run("queues", "--json").stdout)
    assert [queue["ready"] for queue in state["queues"]] == [3, 0]

    # And a worker runs until SIGTERM
    log = tmp_path / "log.txt"
    with started(tmp_path, environment, "worker", "-Q", "high_priority", "-c", "1") as worker:
        until(lambda: log.read_text().count("dead-lettered") == 2)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0, log.read_text()

    # Then the list has both, the newest first, and keeps the terminal safe
    listed = json.loads(run("dlq", "list", "--json").stdout)
    letters = listed["queues"][0]["letters"]
    assert [(one["id"], one["reason"]) for one in letters] == [
        (rejected, "rejected"),
        (failed, "failed"),
    ]
    assert listed["count"] == 2
    assert {group["error_type"] for group in listed["groups"]} >= {"ValueError"}
    human = run("dlq", "list").stdout
    assert "\x1b" not in human
    assert r"evil \x1b[31m[bold]width" in human

    # And one is shown with its body and its traceback
    shown = run("dlq", "show", failed).stdout
    assert '"width": 13' in shown
    assert 'raise ValueError("evil' in shown
    assert "\x1b" not in shown
    copy = json.loads(run("dlq", "show", failed, "--json").stdout)["copies"][0]
    assert json.loads(copy["body"]) == {"width": 13}
    assert copy["attempt"] == 1
    assert copy["traceback"].startswith("Traceback")

    # And nothing was removed by looking
    state = json.loads(run("queues", "--json").stdout)
    assert [queue["dead_letters"] for queue in state["queues"]] == [2, 0]


def test_what_is_not_there_is_an_error_in_one_line(run: Run) -> None:
    done = run("dlq", "show", "nosuch")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("rmqwork: error: there is no dead letter with id 'nosuch'")
    done = run("dlq", "list", "-Q", "nosuch")
    assert done.returncode == 2
    assert "'nosuch.dlq'" in done.stderr
    assert run("dlq", "list").stdout.startswith("no dead letters")


@pytest.mark.parametrize(
    "arguments", [["queues"], ["dlq", "list"], ["worker", "--broker-wait", "0.2"]]
)
def test_a_broker_that_does_not_answer_is_exit_code_4(run: Run, arguments: list[str]) -> None:
    done = run(*arguments, RMQWORK_BROKER="amqp://user:secret@127.0.0.1:1/")
    assert done.returncode == 4
    last = done.stderr.splitlines()[-1]
    assert last.startswith("rmqwork: error: ")
    assert "Connection refused" in last
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_who_stops_reading_ends_it_quietly(
    tmp_path: Path, environment: dict[str, str], run: Run
) -> None:
    for arguments in (["queues", "--watch", "--every", "0.1", "--json"], ["queues"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "rmqwork", *arguments],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        if "--json" in arguments:
            json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(20) == 128 + signal.SIGPIPE


def test_watching_ends_on_ctrl_c(tmp_path: Path, environment: dict[str, str]) -> None:
    with started(tmp_path, environment, "queues", "--watch", "--every", "0.1", "--json") as process:
        until(lambda: (tmp_path / "log.txt").read_text().count("\n") >= 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_dev_restarts_the_worker_when_the_code_changes(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    require_module("watchfiles")
    log = tmp_path / "log.txt"

    def said(pattern: str) -> int:
        return len(re.findall(pattern, log.read_text()))

    with started(tmp_path, environment, "dev", "-c", "1", "--grace", "5") as process:
        until(lambda: said(" works on ") == 1)
        (tmp_path / "shop.py").write_text(APP + "\n1 / 0\n")
        until(lambda: said("ended with exit code 2; waiting") == 1)
        assert said("stopped: all finished") == 1
        (tmp_path / "shop.py").write_text(APP + "\n# mended\n")
        until(lambda: said(" works on ") == 2)
        process.send_signal(number)
        assert process.wait(20) == 0
    assert said("stopped: all finished") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2)")
def test_a_killed_dev_leaves_no_worker_behind(tmp_path: Path, environment: dict[str, str]) -> None:
    require_module("watchfiles")
    log = tmp_path / "log.txt"
    with started(tmp_path, environment, "dev", "-c", "1", "--grace", "5") as process:
        until(lambda: " works on " in log.read_text())
        process.kill()
        until(lambda: "stopped: all finished" in log.read_text())
