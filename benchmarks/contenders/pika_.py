"""pika alone, with its BlockingConnection: what a careful program of one's own does."""

from __future__ import annotations

import json
import threading

import pika

from benchmarks import stage

_mine = threading.local()
_connections = []
ARGUMENTS = {"x-queue-type": "quorum"} if stage.RELIABLE else {}


def channel():
    """This thread's channel."""
    if not hasattr(_mine, "channel"):
        _mine.connection = pika.BlockingConnection(pika.URLParameters(stage.URL))
        _connections.append(_mine.connection)
        _mine.channel = _mine.connection.channel()
        _mine.channel.queue_declare(stage.QUEUE, durable=True, arguments=ARGUMENTS)
        if stage.RELIABLE:
            _mine.channel.confirm_delivery()
    return _mine.channel


def send(kind: str, n: int, filling: str) -> None:
    """Publish one."""
    channel().basic_publish(
        "",
        stage.QUEUE,
        json.dumps({"n": n, "filling": filling}).encode(),
        pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2 if stage.RELIABLE else 1,
            message_id=f"{n:032x}",
            type=kind,
        ),
        mandatory=stage.RELIABLE,
    )


def closed() -> None:
    """Disconnect."""
    for connection in _connections:
        connection.close()


def worker() -> None:
    """Consume, run, ack each."""

    def on_message(consuming, method, properties, body):
        arguments = json.loads(body)
        stage.KINDS[properties.type](arguments["n"])
        consuming.basic_ack(method.delivery_tag)

    consuming = channel()
    consuming.basic_qos(prefetch_count=500)
    consuming.basic_consume(stage.QUEUE, on_message)
    consuming.start_consuming()


if __name__ == "__main__":
    stage.main(stage.Publishers(send, opened=channel, closed=closed), worker)
