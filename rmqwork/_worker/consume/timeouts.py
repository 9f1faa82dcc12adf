"""How long the broker waits for a delivery to be settled, and who tells it."""

from __future__ import annotations

import logging
from typing import Final

_log = logging.getLogger("rmqwork.worker")
_TIMEOUT_OF_CONSUMERS: Final = (4, 3)


def consumer_arguments(timeout: float | None, server: tuple[int, ...]) -> dict[str, object]:
    """The arguments of a consumer; older brokers know its timeout as a policy or a setting of
    theirs only.

    Args:
        timeout: seconds; None = the broker's.
        server: its version.
    """
    if timeout is None or server < _TIMEOUT_OF_CONSUMERS:
        return {}
    return {"x-consumer-timeout": round(timeout * 1000)}


def tell_of_timeout(queue: str, timeout: float | None, server: tuple[int, ...]) -> None:
    """Say what somebody has to set on a broker that takes no timeout from a consumer."""
    if timeout is None or server >= _TIMEOUT_OF_CONSUMERS:
        return
    _log.warning(
        "queue %r has tasks that may run for longer than RabbitMQ %s lets a delivery "
        "wait (30 min by default): a run beyond that is repeated; set the policy "
        "consumer-timeout (3.12 and later) of this queue, or consumer_timeout in "
        "rabbitmq.conf, to %d ms",
        queue,
        ".".join(map(str, server)),
        round(timeout * 1000),
    )
