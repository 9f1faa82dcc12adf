"""Dramatiq, on pika's BlockingConnection."""

from __future__ import annotations

import os
import sys

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks import stage


class QuorumBroker(RabbitmqBroker):
    """Its queues as quorum queues; Dramatiq has no option for it."""

    def _build_queue_arguments(self, queue_name):
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": "quorum"}


if stage.RELIABLE:
    broker = QuorumBroker(url=stage.URL, confirm_delivery=True)
else:
    broker = RabbitmqBroker(url=stage.URL)
dramatiq.set_broker(broker)


def _actor(kind, function):
    return dramatiq.actor(
        lambda n, filling: function(n),
        actor_name=kind,
        queue_name=stage.QUEUE,
        max_retries=3,
        min_backoff=10,
        max_backoff=10,
    )


ACTORS = {kind: _actor(kind, function) for kind, function in stage.KINDS.items()}


def send(kind: str, n: int, filling: str) -> None:
    """Publish one."""
    ACTORS[kind].send(n, filling)


def worker() -> None:
    """Be the worker."""
    options = ["-p", str(stage.PROCESSES), "-t", str(stage.CONCURRENCY)]
    os.environ.setdefault("dramatiq_queue_prefetch", "500" if stage.RELIABLE else "0")
    command = ["-m", "dramatiq", "benchmarks.contenders.dramatiq_", *options]
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    stage.main(stage.Publishers(send, closed=broker.close), worker)
