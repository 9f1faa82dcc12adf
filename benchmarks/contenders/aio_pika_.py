"""aio-pika alone: what a careful program of one's own does."""

from __future__ import annotations

import asyncio
import json

import aio_pika

from benchmarks import stage

ARGUMENTS = {"x-queue-type": "quorum"} if stage.RELIABLE else {}
PERSISTENT = aio_pika.DeliveryMode.PERSISTENT
_open = {}


async def opened() -> None:
    """Connect."""
    _open["connection"] = await aio_pika.connect_robust(stage.URL)
    _open["channel"] = await _open["connection"].channel(publisher_confirms=stage.RELIABLE)
    _open["queue"] = await _open["channel"].declare_queue(
        stage.QUEUE, durable=True, arguments=ARGUMENTS
    )


async def closed() -> None:
    """Disconnect."""
    await _open["connection"].close()


async def asend(kind: str, n: int, filling: str) -> None:
    """Publish one."""
    message = aio_pika.Message(
        json.dumps({"n": n, "filling": filling}).encode(),
        content_type="application/json",
        delivery_mode=PERSISTENT if stage.RELIABLE else None,
        message_id=f"{n:032x}",
        type=kind,
    )
    await _open["channel"].default_exchange.publish(message, stage.QUEUE, mandatory=stage.RELIABLE)


async def _work() -> None:
    await opened()
    await _open["channel"].set_qos(prefetch_count=500)

    async def on_message(message) -> None:
        arguments = json.loads(message.body)
        if message.type == "sleep":
            await stage.asleep(arguments["n"])
        else:
            stage.KINDS[message.type](arguments["n"])
        await message.ack()

    await _open["queue"].consume(on_message)
    await asyncio.Event().wait()


def worker() -> None:
    """Consume, run, ack each."""
    asyncio.run(_work())


if __name__ == "__main__":
    stage.main(stage.Publishers(None, asend, opened=opened, closed=closed), worker)
