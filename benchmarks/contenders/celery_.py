"""Celery, with kombu and py-amqp."""

from __future__ import annotations

import os
import sys

from celery import Celery
from kombu import Queue

from benchmarks import stage

app = Celery("bench", broker=stage.URL)
app.conf.update(
    task_ignore_result=True,
    task_default_queue=stage.QUEUE,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
)
if stage.RELIABLE:
    app.conf.update(
        task_queues=[Queue(stage.QUEUE, queue_arguments={"x-queue-type": "quorum"})],
        task_default_queue_type="quorum",
        worker_detect_quorum_queues=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=64,
        broker_transport_options={"confirm_publish": True},
        worker_enable_remote_control=False,
    )


@app.task(name="noop")
def noop(n, filling):
    """Nothing."""
    stage.noop(n)


@app.task(name="burn")
def burn(n, filling):
    """20 ms of CPU."""
    stage.burn(n)


@app.task(name="sleep")
def sleep(n, filling):
    """50 ms of waiting."""
    stage.sleep(n)


@app.task(name="fail", bind=True, max_retries=3)
def fail(self, n, filling):
    """Fails once."""
    try:
        stage.fail_once(n)
    except stage.FirstTime as error:
        raise self.retry(exc=error, countdown=0.010) from None


def send(kind: str, n: int, filling: str) -> None:
    """Publish one."""
    options = {"mandatory": True} if stage.RELIABLE else {}
    app.tasks[kind].apply_async((n, filling), **options)


def worker() -> None:
    """Be the worker; prefork, or threads where tasks wait."""
    pool = os.environ.get("BENCH_POOL", "prefork")
    size = stage.CONCURRENCY if pool == "threads" else stage.PROCESSES
    if os.environ.get("BENCH_POOL") == "slots":
        pool, size = "prefork", stage.CONCURRENCY
    options = ["-P", pool, "-c", str(size), "-l", "error"]
    if stage.RELIABLE:
        options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = ["-m", "celery", "-A", "benchmarks.contenders.celery_", "worker", *options]
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    stage.main(stage.Publishers(send, closed=app.pool.force_close_all), worker)
