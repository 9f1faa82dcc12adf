"""Dead letters as a worker writes them, and a broker in memory that holds some."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rmqwork._admin.deadletters.api import DeadLetters
from rmqwork._messages.dead_letter import DeadLetter, dead_letter
from rmqwork._publisher.publisher import Batch, Publisher
from rmqwork._topology.topology import Queue, app_declarations
from rmqwork._transport.port import Connector
from rmqwork.types import Delivery, Publication

TRACEBACK = """Traceback (most recent call last):
  File "/srv/releases/{release}/shop/tasks.py", line {line}, in resize
    check(width)
  File "/srv/releases/{release}/shop/checks.py", line {line}, in check
    raise ValueError(width)
ValueError: {message}
"""

COUNT = 12
"""Dead letters of the fixture `letters`."""


def headers(**changed: Any) -> dict[str, Any]:
    """The headers of a dead letter; names with ``_`` for ``-``, None takes one out."""
    told = {
        "rmqwork-queue": "q",
        "rmqwork-exchange": "rmqwork.tasks",
        "rmqwork-routing-key": "q",
        "rmqwork-error-reason": "failed",
        "rmqwork-error-type": "ValueError",
        "rmqwork-error-message": "bad",
        "rmqwork-error-traceback": TRACEBACK.format(release=1, line=3, message="bad"),
        "rmqwork-error-at": "2030-01-01T00:00:00.000+00:00",
        "rmqwork-attempt": 3,
        "rmqwork-host": "pod-1",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return {name: value for name, value in told.items() if value is not None}


def published(
    number: int, body: bytes | None = None, queue: str = "q.dlq", **changed: Any
) -> Publication:
    """A dead letter on its way to its queue."""
    return Publication(
        "", queue, body or b'{"n": %d}' % number, f"id{number}", "shop.add", headers(**changed)
    )


def letter(body: bytes = b"{}", queue: str = "q.dlq", **changed: Any) -> DeadLetter:
    """A dead letter as it was read."""
    delivery = Delivery(
        None, 1, queue, "", queue, False, body, headers(**changed), "id1", "shop.add",
        "application/json", None, None, None, None, None, None,
    )  # fmt: skip
    return dead_letter(delivery, queue.removesuffix(".dlq"))


async def fill(connector: Connector, publications: Sequence[Publication], *queues: Queue) -> None:
    """Declare queues and publish."""
    publisher = Publisher(connector, app_declarations(queues or (Queue("q"),)), "test")
    batch = Batch(publications, 30)
    publisher.submit(batch)
    assert not any(await asyncio.wrap_future(batch.future))
    await publisher.close(5)


async def taken(connector: Connector, queue: str) -> list[Delivery]:
    """Take all that lies in a queue."""
    link = await connector.open("test")
    channel = await link.open_consuming(lambda _: None)
    found = []
    while (delivery := await channel.get(queue)) is not None:
        found.append(delivery)
        channel.ack(delivery)
    await channel.synced()
    await link.close()
    return found


async def ids(letters: DeadLetters) -> list[str]:
    return [letter.id or "" for letter in await letters.aread()]
