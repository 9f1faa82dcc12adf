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


def main() -> int:
    """Take a queue its majority, and see that others go on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--publishes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with cluster() as three:
        url = three.urls(inside=False)
        os.environ["RMQWORK_BROKER"] = url
        log = three.site.folder / "worker.log"
        with worker(url, log):
            until(lambda: b"works on" in log.read_bytes(), "the worker")
            until(lambda: three.ask("queues/%2F/sick"), "the queues", 60, 0.5)
            node = three.nodes["rabbit-1"]
            node.exec("rabbitmq-queues", "delete_member", "sick", "rabbit@rabbit-3")
            fine.delay(0)
            three.nodes[SICK_NODE].kill()
            time.sleep(10)
            fine.options(timeout=60).delay(1)
            confirmed: list[str] = []
            failed: list[str] = []
            sick = threading.Thread(
                target=publish_sick, args=(options.publishes, confirmed, failed)
            )
            sick.start()
            for number in range(300):
                (begins.s(number) | ends.s()).delay()
            letters = messages(three, "well.dlq")
            took = sorted(publish_well(options.seconds))
            sick.join(90)
            print(f"letters before: {letters}", flush=True)
            print(
                f"healthy        {len(took)} publishes, median {took[len(took) // 2] * 1e3:.1f} ms, "
                f"95% {took[int(len(took) * 0.95)] * 1e3:.1f} ms, longest {took[-1]:.2f} s"
            )
            with suppress(TimeoutError):
                until(lambda: messages(three, "well.dlq") > letters, "dead letters", 30, 0.5)
            came = messages(three, "well.dlq") - letters
            print(f"dead letters   {came} of the worker came meanwhile")
            print(f"sick           confirmed {confirmed}, ended {failed}")

            docker("start", three.nodes[SICK_NODE].name)
            three.site.wait_broker(three.nodes[SICK_NODE])
            back = until(
                lambda: messages(three, "sick") >= 300 and messages(three, "sick"),
                "the next steps in the queue that is well again",
                120,
                1,
            )
            print(f"afterwards     {back} messages in the queue that is well again")
        text = log.read_text(errors="replace").splitlines()
        if keep := os.environ.get("PROOF_WORKER_LOG"):
            Path(keep).write_text("\n".join(text))
        for line in [one for one in text if "confirms nothing" in one or '"error"' in one][:5]:
            print(line[:300])
    return 0 if took[-1] < _SLOW and came > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
