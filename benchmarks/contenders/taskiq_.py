"""Taskiq, on aio-pika."""

from __future__ import annotations

import os
import sys

from taskiq import SimpleRetryMiddleware
from taskiq_aio_pika import AioPikaBroker
from taskiq_aio_pika.queue import Queue, QueueType

from benchmarks import stage

if stage.RELIABLE:
    queue = Queue(name=stage.QUEUE, type=QueueType.QUORUM)
    broker = AioPikaBroker(stage.URL, qos=500, task_queues=[queue])
else:
    broker = AioPikaBroker(stage.URL)
broker = broker.with_middlewares(SimpleRetryMiddleware(default_retry_count=3))


@broker.task("noop")
async def noop(n: int, filling: str) -> None:
    """Nothing."""
    stage.noop(n)


@broker.task("burn")
def burn(n: int, filling: str) -> None:
    """20 ms of CPU."""
    stage.burn(n)


@broker.task("sleep")
async def sleep(n: int, filling: str) -> None:
    """50 ms of waiting."""
    await stage.asleep(n)


@broker.task("fail", retry_on_error=True, max_retries=3)
async def fail(n: int, filling: str) -> None:
    """Fails once; Taskiq retries at once, without a backoff."""
    stage.fail_once(n)


TASKS = {"noop": noop, "burn": burn, "sleep": sleep, "fail": fail}


async def asend(kind: str, n: int, filling: str) -> None:
    """Publish one."""
    await TASKS[kind].kiq(n, filling)


def worker() -> None:
    """Be the worker."""
    options = ["-w", str(stage.PROCESSES), "--log-level", "CRITICAL"]
    if stage.RELIABLE:
        options += ["--ack-type", "when_executed", "--no-parse"]
        options += ["--max-async-tasks", str(max(100, stage.CONCURRENCY)), "--max-prefetch", "100"]
    command = ["-m", "taskiq", "worker", "benchmarks.contenders.taskiq_:broker", *options]
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    stage.main(stage.Publishers(None, asend, opened=broker.startup, closed=broker.shutdown), worker)
