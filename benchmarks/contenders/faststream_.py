"""FastStream, on aio-pika."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

from benchmarks import stage

PREFETCH = int(os.environ.get("BENCH_PREFETCH", "500"))  # also how many run at once
if stage.RELIABLE:
    QUEUES = {
        kind: RabbitQueue(f"{stage.QUEUE}.{kind}", queue_type=QueueType.QUORUM, durable=True)
        for kind in stage.KINDS
    }
    broker = RabbitBroker(stage.URL, default_channel=Channel(prefetch_count=PREFETCH), logger=None)
    subscribing = {"ack_policy": AckPolicy.NACK_ON_ERROR}
else:
    QUEUES = {kind: RabbitQueue(f"{stage.QUEUE}.{kind}") for kind in stage.KINDS}
    broker = RabbitBroker(stage.URL, logger=None)
    subscribing = {}


@broker.subscriber(QUEUES["noop"], **subscribing)
async def noop(n: int, filling: str) -> None:
    """Nothing."""
    stage.noop(n)


@broker.subscriber(QUEUES["burn"], **subscribing)
def burn(n: int, filling: str) -> None:
    """20 ms of CPU."""
    stage.burn(n)


@broker.subscriber(QUEUES["sleep"], **subscribing)
async def sleep(n: int, filling: str) -> None:
    """50 ms of waiting."""
    await stage.asleep(n)


@broker.subscriber(QUEUES["fail"], **subscribing)
async def fail(n: int, filling: str) -> None:
    """Fails once; the nack gives it back at once."""
    stage.fail_once(n)


async def opened() -> None:
    """Connect; declare the queues, which only a subscriber does otherwise."""
    await broker.connect()
    for queue in QUEUES.values():
        await broker.declare_queue(queue)


async def asend(kind: str, n: int, filling: str) -> None:
    """Publish one."""
    options = {"persist": True, "mandatory": True} if stage.RELIABLE else {}
    await broker.publish({"n": n, "filling": filling}, QUEUES[kind], **options)


def _serve() -> None:
    asyncio.run(FastStream(broker).run(log_level=60))


def worker() -> None:
    """Be the worker: what ``faststream run --workers`` does, a process each."""
    if stage.PROCESSES == 1:
        _serve()
        return
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_serve) for _ in range(stage.PROCESSES)]
    for process in processes:
        process.start()
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in processes])
    for process in processes:
        process.join()


if __name__ == "__main__":
    stage.main(stage.Publishers(None, asend, opened=opened, closed=broker.stop), worker)
