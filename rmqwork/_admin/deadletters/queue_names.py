"""Where dead letters lie: the queues that the verbs of this package read."""

from __future__ import annotations

from typing import Final

from rmqwork._topology.topology import (
    UNROUTABLE,
    dead_letter_queue,
    due_queue,
    suspects_queue,
)
from rmqwork.errors import ConfigurationError
from rmqwork.types import Server

_SUSPECTS: Final = suspects_queue("")
_LETTERS: Final = dead_letter_queue("")
_UNCOUNTED_NACK: Final = (4, 3)


def place_of(queue: str) -> str:
    """The queue to be read for the dead letters of ``queue``.

    ``rmqwork.unroutable`` and ``<queue>.suspects`` are read themselves.
    """
    if queue == UNROUTABLE or queue.endswith((_SUSPECTS, _LETTERS)):
        return queue
    return dead_letter_queue(queue)


def home_of(place: str) -> str:
    """The queue whose dead letters lie in a queue: ``orders`` for ``orders.dlq``."""
    if place.endswith(_LETTERS):
        return place.removesuffix(_LETTERS)
    return place.removesuffix(_SUSPECTS)


def work_queue(queue: str, place: str) -> str:
    """The queue to which a letter goes back.

    Args:
        queue: that it was consumed from; ``orders.due`` and ``orders.suspects`` belong to
            ``orders``.
        place: where it lies, which tells whether they do.
    """
    home = home_of(place)
    return home if queue in (due_queue(home), suspects_queue(home)) else queue


def uncounted(server: Server) -> bool:
    """Whether handing a message back leaves its delivery count alone (nack, since 4.3)."""
    return server.version >= _UNCOUNTED_NACK


def check_readable(place: str, server: Server) -> None:
    """Refuse to read a queue in which a delivery that is handed back accuses its message.

    Raises:
        ConfigurationError: ``<queue>.suspects`` on a broker that counts every hand-back.
    """
    if place.endswith(_SUSPECTS) and not uncounted(server):
        raise ConfigurationError(
            f"{place!r} cannot be looked into on {server}: it counts each look as a crash of the "
            "message's task; RabbitMQ 4.3 does not"
        )
