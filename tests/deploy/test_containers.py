"""The image and its workers in real containers: `make containers`."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time

from deploy.proof.app import anap, app, eat, nap, wait_for
from deploy.proof.docker import IMAGE, docker, until
from tests.deploy.conftest import ROOT, ContainersHarness, seconds_of

BASE = os.environ.get("BASE", "python:3.13-slim")


def size(image: str) -> int:
    return int(docker("image", "inspect", "-f", "{{.Size}}", image))


def test_the_image_is_small_over_its_base() -> None:
    megabytes = (size(IMAGE) - size(BASE)) / 1e6

    print(f"{megabytes:.0f} MB over {BASE}")
    assert megabytes < 120


def test_a_container_runs_its_first_task_soon(stage: ContainersHarness) -> None:
    """Not root, a read-only root, no capabilities; see `Site.worker`."""
    app.publish_many([])
    worker = stage.site.worker("first", "-c", "1")
    task_id = nap.delay(0.0).id

    (line,) = stage.wait(1, "start", task_id)

    took = line.at - seconds_of(worker.state["StartedAt"])
    print(f"first task {took:.2f} s after the container's start")
    assert took < 10  # 0.8 s on an idle machine
    assert worker.exec("id", "-u") == "10001"
    with contextlib.suppress(RuntimeError):
        worker.exec("touch", "/app/x")
        raise AssertionError("the root file system can be written")
    assert worker.stop(30) == 0


def test_a_second_container_takes_over_what_is_handed_back(stage: ContainersHarness) -> None:
    old = stage.site.worker(
        "old", "-c", "2", "--prefetch", "10",
        environment={"RMQWORK_GRACE": "2", "RMQWORK_TERMINATION_GRACE": "17"},
    )  # fmt: skip
    old.wait_ready()
    finishes, stays = wait_for.delay("first").id, wait_for.delay("second").id
    stage.wait(2, "start", finishes, stays)
    unstarted = [nap.delay(0.0).id for _ in range(5)]
    new = stage.site.worker("new", "-c", "8")
    new.wait_ready()
    told = time.time()
    codes: list[int] = []
    stop = threading.Thread(target=lambda: codes.append(old.stop(17)))
    stop.start()

    taken = stage.wait(5, "start", *unstarted)
    (stage.site.folder / "first").touch()
    again = stage.wait(2, "start", stays)[-1]
    (stage.site.folder / "second").touch()
    stop.join()

    ended = seconds_of(old.state["FinishedAt"])
    assert {line.who.partition("/")[0] for line in (*taken, again)} == {"new"}
    late = max(line.at for line in taken) - told
    print(f"what had not started was running {late:.2f} s after docker stop;")
    print(f"what was cut off at 2 s, {again.at - told:.2f} s after it ({ended - told:.2f} s: gone)")
    assert late < 2  # 0.1 s on an idle machine
    assert again.at - told < 2 + 2
    assert codes == [3]  # one task was handed back unfinished
    assert len(stage.lines("start", finishes)) == 1
    stage.wait(1, "end", finishes)
    stage.wait(1, "end", stays)
    assert new.stop(30) == 0


def test_process_1_reaps_what_lost_its_parent(stage: ContainersHarness) -> None:
    worker = stage.site.worker("reaper")
    worker.wait_ready()
    worker.exec("sh", "-c", "for n in 1 2 3; do (sleep 0.2 &) ; done")

    def zombies() -> int:
        states = worker.exec("sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null | grep State:")
        return states.count("Z (zombie)")

    time.sleep(0.4)
    until(lambda: not zombies(), "the zombies to be reaped", 10)
    assert worker.stop(30) == 0


def test_an_executor_that_takes_too_much_memory_does_not_take_the_worker(
    stage: ContainersHarness,
) -> None:
    worker = stage.site.worker(
        "greedy", "-c", "4", options=("--memory", "200m", "--memory-swap", "200m")
    )
    worker.wait_ready()
    poison = eat.delay(600).id
    innocent = [anap.delay(0.05).id for _ in range(20)]

    stage.wait(20, "end", *innocent)
    until(lambda: "worker-crashed" in worker.logs(), "its dead letter", 60)

    assert worker.state["Running"]
    assert worker.state["ExitCode"] == 0
    assert len(stage.lines("start", poison)) == 3
    assert worker.probe("/livez") == 200
    assert worker.stop(30) == 0


def test_compose_comes_up_with_a_green_ledger_and_scales() -> None:
    environment = {
        **os.environ,
        "COMPOSE_PROJECT_NAME": f"rmqwork-proof-{os.getpid()}",
        "MANAGEMENT_PORT": "0",
        "IMAGES": "150",  # it takes the producer 15 ms of CPU to draw one
    }

    def compose(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", *args], cwd=ROOT, env=environment, capture_output=True,
            text=True, timeout=240, check=False,
        )  # fmt: skip

    try:
        played = compose("up", "--scale", "worker-low=3", "--exit-code-from", "producer")
    finally:
        compose("down", "--volumes", "--timeout", "5")

    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-1000:]
    said = played.stdout + played.stderr
    assert "lost = 0" in said
    workers = set(re.findall(r"(worker-low-\d) .*succeeded", said))
    assert workers == {"worker-low-1", "worker-low-2", "worker-low-3"}
