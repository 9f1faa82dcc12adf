"""The transport port and its adapters."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from rmqwork._transport.port import Connector, Link
from rmqwork.errors import BrokerUnavailable, ConfigurationError


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


def connect_later(urls: Sequence[str], heartbeat: int | None = None) -> Connector:
    """`connect`, but for addresses of AMQP the library is imported, and they are checked, by the
    first ``open``: in the I/O thread, where no signal handler interrupts the import.
    """
    if not urls or any(url.startswith("memory:") for url in urls):
        return connect(urls, heartbeat)
    return _LateConnector(urls, heartbeat)


class _LateConnector:
    """A connector that is made by its first use; see `connect_later`."""

    def __init__(self, urls: Sequence[str], heartbeat: int | None) -> None:
        self._urls = urls
        self._heartbeat = heartbeat
        self._connector: Connector | None = None

    @property
    def label(self) -> str:
        """The addresses without passwords."""
        return self._made().label

    async def open(self, name: str) -> Link:
        """Open a connection; see the port."""
        return await self._made().open(name)

    def _made(self) -> Connector:
        if self._connector is None:
            with _import:
                self._connector = connect(self._urls, self._heartbeat)
        return self._connector


class _Import:
    """One import at a time, and no fork meanwhile: a child would wait for ever for the module's
    lock, which a thread of its parent holds."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._under_way = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._under_way:  # in this thread
            self._lock.release()
            raise BrokerUnavailable(
                "nothing was published: this code has interrupted the import of pika, which the "
                "first publish needs"
            )
        self._under_way = True

    def __exit__(self, *_: object) -> None:
        self._under_way = False
        self._lock.release()

    def before_fork(self) -> None:
        """Wait until nobody imports."""
        self._lock.acquire()

    def in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def in_child(self) -> None:
        """Begin anew: the lock's owner may have another name here."""
        self.__init__()  # type: ignore[misc]


_import = _Import()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_import.before_fork,
        after_in_parent=_import.in_parent,
        after_in_child=_import.in_child,
    )
