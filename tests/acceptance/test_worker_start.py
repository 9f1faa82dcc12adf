"""How a worker starts, what it refuses, what it costs, and what its probes say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.support import (
    ROOT,
    Ledger,
    Rabbit,
    Worker,
    WorkerHarness,
    crowded,
    figure,
    free_port,
    probe,
)
from tests.waiting import until

START_BAR, IMPORT_BAR, IDLE_BAR = 0.6, 0.25, 0.5
"""Of the specification: seconds, seconds, per cent of a CPU."""
GENEROUS = 3
"""By which factor a machine may miss a bar here."""


def refused(url: str, folder: Path, *args: str, code: int, **keywords: object) -> str:
    """Start a worker that cannot work; returns what it says."""
    with Worker(url, Ledger(folder / "ledger"), *args, **keywords) as worker:  # type: ignore[arg-type]
        assert worker.wait() == code, worker.said
        return "".join(worker.text)


class TestRefusals:
    def test_an_app_that_cannot_be_imported(self, vhost_url: str, tmp_path: Path):
        text = refused(vhost_url, tmp_path, app="tests.acceptance.apps.broken:app", code=2)
        assert "LookupError: the answer is not in the environment" in text
        assert "broken.py" in text

    def test_an_app_that_is_not_there(self, vhost_url: str, tmp_path: Path):
        text = refused(vhost_url, tmp_path, app="tests.acceptance.apps.nowhere:app", code=2)
        assert "nowhere" in text

    def test_an_unknown_queue(self, vhost_url: str, tmp_path: Path):
        text = refused(vhost_url, tmp_path, "-Q", "fast", queues=["default"], code=2)
        assert "'fast'" in text
        assert "default" in text

    def test_a_lifespan_that_fails(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            scene.send("mark")
            port = free_port()
            worker = scene.worker("--health-port", str(port), env={"WORK_LIFESPAN": "fails"})

            # It is tried again and again: what it needs may come.
            worker.wait_log("the lifespan failed: RuntimeError: no database here", 4)
            worker.wait_log("executors keep dying")
            [line, *_] = worker.log("the lifespan failed")
            assert line["traceback"].startswith("Traceback")
            assert "fails_to_start" in line["traceback"]
            assert not worker.log("works on")

            assert probe(port)[0] == 503
            assert probe(port, "/livez")[0] == 200
            assert not scene.rabbit.consumed("default")
            assert worker.stop() == 0
            assert not scene.ledger.lines("ran")
            message = scene.rabbit.take("default")
            assert message is not None
            assert not message[0].redelivered, "it had been consumed"

    def test_no_broker(self, tmp_path: Path):
        began = time.monotonic()
        text = refused(
            f"amqp://guest:secret@127.0.0.1:{free_port()}/",
            tmp_path,
            "--broker-wait",
            "1.5",
            code=4,
        )
        took = time.monotonic() - began
        figure("5", f"--broker-wait 1.5 without a broker: exit code 4 after {took:.1f} s")
        assert 1.5 <= took < 15
        assert "--broker-wait" in text
        assert "secret" not in text

    def test_a_broker_that_comes_late(self, vhost_url: str, tmp_path: Path):
        with WorkerHarness(vhost_url, tmp_path) as scene:
            proxy = scene.proxy()
            proxy.cut()
            worker = scene.worker("--broker-wait", "60", url=proxy.url)
            worker.wait_log("", logger="rmqwork.worker.consuming")
            scene.send("mark")

            proxy.restore()

            scene.ledger.wait(1, "ran")
            assert worker.stop() == 0


def test_probes(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        proxy, port = scene.proxy(), free_port()
        proxy.cut()
        worker = scene.worker("--health-port", str(port), url=proxy.url)
        until(lambda: probe(port, "/livez")[0] == 200, "/livez")
        assert probe(port)[0] == 503

        proxy.restore()
        until(lambda: probe(port)[0] == 200, "/readyz")
        assert scene.rabbit.consumed("default")
        status, detail = probe(port)
        assert status == 200
        assert detail["app"] == "work"
        assert detail["queues"] == ["default"]
        assert [one["state"] for one in detail["executors"]] == ["ready"]

        proxy.cut()
        until(lambda: probe(port)[0] == 503, "/readyz to say no")
        assert probe(port, "/livez")[0] == 200
        proxy.restore()
        until(lambda: probe(port)[0] == 200, "/readyz")

        gate = tmp_path / "gate"
        scene.send("wait_for", path=str(gate))
        scene.ledger.wait(1, "started")
        worker.send()
        until(lambda: probe(port)[0] == 503, "/readyz to say no")
        assert probe(port, "/livez")[0] == 200
        gate.touch()
        assert worker.wait() == 0


def test_no_preload(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("--no-preload", "-p", "2")
        scene.send("mark")
        scene.ledger.wait(1, "ran")
        assert worker.stop() == 0


def seconds_of(code: str) -> float:
    """The shortest time of five Pythons that run a line and end, in seconds."""
    times = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        times.append(time.monotonic() - began)
    return min(times)


def test_the_start_of_a_worker_to_its_first_task(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.send("mark", key="to have the queues")
        with Worker(vhost_url, scene.ledger) as worker:
            scene.ledger.wait(1, "ran")
            assert worker.stop() == 0
        times = []
        for number in range(5):
            scene.send("mark", key=str(number))
            began = time.time()
            with Worker(vhost_url, scene.ledger) as worker:
                [line] = scene.ledger.wait(1, "ran", key=str(number))
                times.append(line["at"] - began)
                assert worker.stop() == 0
        took, bare = min(times), seconds_of("import pika, pydantic")
        figure(
            "9",
            f"start to first task {took:.2f} s, bare import of pika and pydantic {bare:.2f} s: "
            f"{took - bare:.2f} s above it (bar: {START_BAR} s; shortest of 5, load "
            f"{os.getloadavg()[0]:.1f})",
        )
        assert took - bare < START_BAR * GENEROUS * crowded()


def test_the_import_is_light():
    took = seconds_of("import rmqwork") - seconds_of("pass")
    figure(
        "9",
        f"import rmqwork: {took:.3f} s above a bare Python (bar: {IMPORT_BAR} s; shortest of 5, "
        f"load {os.getloadavg()[0]:.1f})",
    )
    assert took < IMPORT_BAR * GENEROUS * crowded()
    heavy = {"pika", "tenacity", "fast_depends", "rmqwork.worker"}
    code = f"import sys, rmqwork; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.slow
def test_an_idle_worker_costs_little(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("-p", "2")
        scene.send("mark")
        scene.ledger.wait(1, "ran")
        rabbit: Rabbit = scene.rabbit
        rabbit.wait_ready("default", 0)

        def used() -> float:
            return sum(sum(cpu(process)) for process in worker.family())

        before, began = used(), time.monotonic()
        while time.monotonic() - began < 10:  # ten seconds of nothing are what is measured
            time.sleep(0.5)
        share = (used() - before) / (time.monotonic() - began) * 100
        memory = [process.memory_info() for process in worker.family()]
        figure(
            "9",
            f"idle over 10 s: {share:.2f} % CPU for {len(memory)} processes (bar: {IDLE_BAR} %)",
        )
        assert share < IDLE_BAR * GENEROUS * crowded()


def cpu(process: psutil.Process) -> tuple[float, float]:
    """The CPU seconds of a process, in user mode and in the kernel's."""
    times = process.cpu_times()
    return times.user, times.system
