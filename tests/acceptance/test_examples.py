"""Each example runs as its text says: worker processes, a publisher, and what they print."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rmqwork.testing.broker import Broker
from tests.acceptance.support import free_port, probe
from tests.waiting import until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TIMEOUT = 60.0  # seconds


class Shop:
    """Where an example is run: its broker, its variables and its processes.

    Args:
        url: of the broker.
        folder: for the output of the processes.
    """

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.variables: dict[str, str] = {"RMQWORK_BROKER": url}

    def worker(self, app: str, *arguments: str) -> Process:
        """Start ``rmqwork worker``."""
        return self.start("-m", "rmqwork", "worker", app, *arguments)

    def start(self, *arguments: str) -> Process:
        """Start Python with these arguments."""
        log = self._folder / f"output-{len(list(self._folder.glob('output-*')))}"
        return self._stack.enter_context(running(arguments, self._environment(), log))

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run Python with these arguments to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=EXAMPLES,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": f"{ROOT}:{EXAMPLES}", **self.variables}


class Process:
    """A process whose output goes to a file."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self._log = log

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def printed(self, pattern: str) -> str:
        """Wait until it has printed something like ``pattern``; returns what."""
        until(lambda: self._popen.poll() is not None or re.search(pattern, self.output), pattern)
        found = re.search(pattern, self.output)
        assert found is not None, f"it ended with {self._popen.returncode}: {self.output}"
        return found[0]

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self._popen.send_signal(signal.SIGTERM)
        return self._popen.wait(TIMEOUT)


@contextmanager
def running(arguments: tuple[str, ...], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=EXAMPLES,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Process(popen, log)
    finally:
        if popen.poll() is None:
            popen.terminate()
            try:
                popen.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


@pytest.fixture
def shop(vhost_url: str, tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as stack:
        yield Shop(vhost_url, tmp_path, stack)


def test_first_steps(shop: Shop) -> None:
    worker = shop.worker("first_steps.app:app")

    published = shop.run("-m", "first_steps.publish", "2", "3")

    task_id = re.fullmatch(r"published first_steps\.add ([0-9a-f-]{36})\n", published)
    assert task_id is not None, published
    worker.printed(r"2 \+ 3 = 5")
    logged = json.loads(worker.printed(rf"{{.*{task_id[1]}.*}}"))
    assert (logged["task"], logged["attempt"]) == ("first_steps.add", 1)
    assert worker.terminate() == 0


def test_the_high_priority_queue_does_not_wait_for_the_low_one(shop: Shop) -> None:
    high = shop.worker("priorities.app:app", "-Q", "high_priority")
    low = shop.worker("priorities.app:app", "-Q", "low_priority", "-c", "4")
    low.printed("works on low_priority")
    high.printed("works on high_priority")

    shop.start("-m", "priorities.publish", "30")  # 30 reports of 0.5 s: 4 s at 4 at once

    high.printed(r"receipt of order 1 sent")
    built = low.output.count("is built")
    assert built < 30, "the receipt was sent after all the reports"
    until(lambda: low.output.count("is built") == 30, "30 reports")
    assert high.terminate() == 0
    assert low.terminate() == 0


def test_thumbnails_reach_a_green_ledger(shop: Shop, tmp_path: Path) -> None:
    shop.variables["THUMBNAILS_FOLDER"] = str(tmp_path / "thumbnails")
    shop.worker("thumbnails.app:app", "-Q", "high_priority")
    shop.worker("thumbnails.app:app", "-Q", "low_priority", "-p", "2")

    ledger = shop.run("-m", "thumbnails.publish", "60")

    assert re.search(r"published = executed \+ dead-lettered: 60 = \d+ \+ \d+, lost = 0", ledger)
    assert re.search(r"rejected +attempt 1 +Reject: these \d+ bytes are no image", ledger)
    assert re.search(r"failed +attempt 5 +SourceBusy: .*503", ledger)


def test_500_fetches_at_once_on_one_event_loop(shop: Shop) -> None:
    # With answers after 3 s: a busy machine takes its time to ask 500 times.
    url = shop.start("-m", "async_fetch.server", "0", "3").printed(r"http://\S+")
    worker = shop.worker("async_fetch.app:app", "-Q", "fetch", "--async-concurrency", "500")

    shop.run("-m", "async_fetch.publish", url, "1000")

    until(lambda: stats(url)["served"] >= 1000, "1,000 items served")
    assert stats(url)["most_at_once"] >= 400
    assert worker.terminate() == 0
    assert worker.output.count('"succeeded"') == 1000


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as answer:
        counted: dict[str, int] = json.load(answer)
    return counted


def ready(port: int) -> int:
    """How many executors of a worker are ready."""
    executors = probe(port)[1].get("executors", [])
    return [one["state"] for one in executors].count("ready")


def test_orders_in_a_database_by_two_processes(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    shop.variables["DATABASE_URL"] = f"sqlite:///{file}"
    port = free_port()
    worker = shop.worker("database.app:app", "-Q", "orders", "-p", "2", "--health-port", str(port))
    until(lambda: ready(port) == 2, "two executors")

    shop.run("-m", "database.publish", "60")

    until(lambda: worker.output.count('"succeeded"') == 60, "60 orders")
    with sqlite3.connect(file) as database:
        customers, processes, total = database.execute(
            "select count(distinct customer), count(distinct stored_by), sum(total) from orders"
        ).fetchone()
    database.close()
    assert (customers, processes, total) == (7, 2, 100 * sum(range(60)))
    assert worker.terminate() == 0


def test_pools_and_threads_in_tasks(shop: Shop) -> None:
    worker = shop.worker("processes.app:app", "-Q", "heavy", "-c", "2")

    shop.run("-m", "processes.publish")

    worker.printed("5133 primes below 50000")  # π(50,000), OEIS A000720
    worker.printed("50 texts hashed")
    assert "hash: 100%" in worker.output, "tqdm's bar"
    assert worker.terminate() == 0


@pytest.mark.slow
def test_the_demo_ends_with_a_green_ledger(shop: Shop, broker: Broker) -> None:
    shop.variables["RMQWORK_BROKER"] = broker.url
    if broker.management_url is not None:
        shop.variables["RMQWORK_MANAGEMENT_URL"] = broker.management_url

    printed = shop.run("-m", "rmqwork", "demo", "--tasks", "300")

    assert re.search(r"published = executed \+ dead-lettered: 300 = \d+ \+ \d+, lost = 0", printed)
    assert re.search(r"low-1: exit code 0, \d+\.\d s after SIGTERM", printed)
    assert re.search(r"thumbnails +\d+ +on disk, opened and whole", printed)
