"""A cluster in which one queue has lost its majority: everything else goes on.

    python -m deploy.proof.majority [--publishes 1000] [--seconds 30]

The queue ``sick`` has members on two of three nodes, and one of these is killed: it confirms
nothing. This process publishes many messages to it, and one after the other to ``well``. A worker
runs tasks of ``well``: some fail for good (their dead letters must be confirmed before they are
acked), some have a next step in ``sick``. Says how long healthy publishes took and how many dead
letters came meanwhile, and, when the node is back, what became of the messages for ``sick``.

Exit codes: 0 others went on and nothing was lost; 1 not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.proof.cluster import Cluster, cluster
from deploy.proof.docker import docker, until
from rmqwork import App, Queue, Retry
from rmqwork.errors import PublishError

SICK_NODE = "rabbit-2"
STEPS = 300
"""Workflows whose second step is for the queue that confirms nothing."""
_SLOW = 8.0
"""Seconds that a healthy publish may take: a stall is noticed after 3, and a connection is made."""

app = App("majority", queues=[Queue("well"), Queue("sick")], default_queue="well")


@app.task(queue="well", retry=Retry(max_attempts=1))
def fails(number: int) -> None:
    """Fail for good."""
    raise ValueError(number)


@app.task(queue="well")
def begins(number: int) -> int:
    """Be the first step of a chain."""
    return number


@app.task(queue="well")
def fine(number: int) -> None:
    """Succeed."""


@app.task(queue="sick")
def ends(number: int) -> None:
    """Be what nobody can start meanwhile."""


def messages(three: Cluster, queue: str) -> int:
    """The messages of a queue, as the management API counts them; late by some seconds."""
    found = three.ask(f"queues/%2F/{queue}")
    return int(found.get("messages", 0)) if found else 0


@contextmanager
def worker(url: str, log: Path) -> Iterator[None]:
    """A worker of the queue ``well``, until the block ends."""
    command = [sys.executable, "-m", "rmqwork", "worker", f"{__spec__.name}:app", "-Q", "well"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--log-format", "json"],
            env={**os.environ, "RMQWORK_BROKER": url},
            stdout=file,
            stderr=file,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def publish_sick(count: int, confirmed: list[str], failed: list[str]) -> None:
    """Publish to the queue that confirms nothing; returns when each has its end."""
    try:
        app.publish_many([ends.s(number) for number in range(count)], timeout=20)
        confirmed.append(f"all {count}")
    except PublishError as error:
        failed.append(f"{len(error.failures)} of {count}: {str(error)[:300]}")


def publish_well(seconds: float) -> list[float]:
    """Publish one after the other; returns how long each took."""
    took: list[float] = []
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        begin = time.monotonic()
        fine.options(timeout=60).delay(number)
        took.append(time.monotonic() - begin)
        if number % 10 == 0:
            fails.options(timeout=60).delay(number)
        number += 1
        time.sleep(0.02)
    return took


def spread(took: list[float]) -> str:
    """How long publishes took: sorted seconds."""
    middle, late = took[len(took) // 2] * 1e3, took[int(len(took) * 0.95)] * 1e3
    return (
        f"{len(took)} publishes, median {middle:.1f} ms, 95% {late:.1f} ms, most {took[-1]:.2f} s"
    )


def lose_majority(three: Cluster) -> None:
    """Leave the queue ``sick`` two members, and kill one."""
    node = three.nodes["rabbit-1"]
    node.exec("rabbitmq-queues", "delete_member", "sick", "rabbit@rabbit-3")
    fine.delay(0)
    three.nodes[SICK_NODE].kill()
    until(lambda: len(three.running()) == 2, "the cluster to notice", 60, 0.5)
    fine.options(timeout=60).delay(1)  # other queues have their leaders again


def measure(three: Cluster, publishes: int, seconds: float) -> bool:
    """Publish to both queues; returns whether the healthy one was served."""
    confirmed: list[str] = []
    failed: list[str] = []
    sick = threading.Thread(target=publish_sick, args=(publishes, confirmed, failed))
    sick.start()
    for number in range(STEPS):
        (begins.s(number) | ends.s()).delay()
    took = sorted(publish_well(seconds))
    sick.join(90)
    with suppress(TimeoutError):
        until(lambda: messages(three, "well.dlq"), "dead letters", 30, 0.5)
    came = messages(three, "well.dlq")
    print(f"healthy        {spread(took)}")
    print(f"dead letters   {came} of the worker came meanwhile")
    print(f"sick           confirmed {confirmed}, ended {failed}")
    return took[-1] < _SLOW and came > 0


def main() -> int:
    """Take a queue its majority, and see that others go on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--publishes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with cluster() as three:
        url = os.environ["RMQWORK_BROKER"] = three.urls(inside=False)
        log = three.site.folder / "worker.log"
        with worker(url, log):
            until(lambda: b"works on" in log.read_bytes(), "the worker")
            until(lambda: three.ask("queues/%2F/sick"), "the queues", 60, 0.5)
            lose_majority(three)
            good = measure(three, options.publishes, options.seconds)
            docker("start", three.nodes[SICK_NODE].name)
            three.site.wait_broker(three.nodes[SICK_NODE])
            until(lambda: messages(three, "sick") >= STEPS, "the next steps", 120, 1)
            print(f"afterwards     {messages(three, 'sick')} messages in the queue that is well")
        if not good:
            print(log.read_text(errors="replace")[-4000:])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
