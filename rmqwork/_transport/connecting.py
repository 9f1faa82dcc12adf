"""The transport port and its adapters."""

from __future__ import annotations

from collections.abc import Sequence

from rmqwork._transport.port import Connector
from rmqwork.errors import ConfigurationError


def connect(urls: Sequence[str], heartbeat: int | None = None) -> Connector:
    """The connector for a broker's addresses; opens nothing yet.

    Args:
        urls: one or more addresses of the same broker or cluster, ``amqp://`` or ``amqps://``; or
            ``memory://`` or ``memory://name``, a broker in this process.
        heartbeat: seconds between heartbeats; None = what the address or the broker says.

    Raises:
        ConfigurationError: no address, or one that cannot be understood.
    """
    if not urls:
        raise ConfigurationError(
            "no broker is configured; pass App(broker='amqp://…') or set RMQWORK_BROKER"
        )
    if any(url.startswith("memory:") for url in urls):
        from rmqwork._transport.memory.connector import MemoryConnector

        return MemoryConnector.of(urls)
    from rmqwork._transport.amqp.connector import AmqpConnector

    return AmqpConnector(urls, heartbeat)
