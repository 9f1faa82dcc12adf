"""Where links to brokers in memory come from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.faults import Faults
from rmqwork._transport.memory.link import MemoryLink
from rmqwork._transport.memory.permissions import GUEST, Rights
from rmqwork.errors import BrokerUnavailable, ConfigurationError

_brokers: dict[str, MemoryBroker] = {}
_lock = threading.Lock()


def memory_broker(name: str = "") -> MemoryBroker:
    """The broker at ``memory://name`` in this process; made, with the real clock, if need be."""
    with _lock:
        return _brokers.setdefault(name, MemoryBroker(name))


def keep(broker: MemoryBroker) -> None:
    """Make a broker the one at its address."""
    with _lock:
        _brokers[broker.name] = broker


def drop(broker: MemoryBroker) -> None:
    """Let go of a broker; what is connected stays so."""
    with _lock:
        if _brokers.get(broker.name) is broker:
            del _brokers[broker.name]


class MemoryConnector:
    """Opens connections to a broker in memory; see `rmqwork._transport.port.Connector`.

    Args:
        broker: which.
        rights: of the user that connects.
        faults: whether the faults that a test orders happen to its connections.
    """

    def __init__(
        self, broker: MemoryBroker, rights: Rights | None = None, *, faults: bool = True
    ) -> None:
        self.broker = broker
        self._rights = rights or Rights()
        self._faults = broker.faults if faults else Faults()

    @classmethod
    def of(cls, urls: Sequence[str]) -> MemoryConnector:
        """The connector for one address, ``memory://`` or ``memory://name``.

        Raises:
            ConfigurationError: there is more than one, or it is none of these.
        """
        if len(set(urls)) != 1:
            raise ConfigurationError(f"one memory:// address, not {', '.join(urls)}")
        parts = urlsplit(urls[0])
        if parts.scheme != "memory" or parts.path not in ("", "/"):
            raise ConfigurationError(f"{urls[0]!r} is not memory:// or memory://name")
        return cls(memory_broker(parts.netloc))

    @property
    def label(self) -> str:
        """The address, with the user if it is a special one."""
        user = self._rights.user
        return self.broker.url if user == GUEST else f"memory://{user}@{self.broker.name}"

    async def open(self, name: str) -> MemoryLink:
        """Open a connection; see the port."""
        await asyncio.sleep(0)
        reason = ""
        if self._faults.refuses_connections:
            reason = "connection refused, as the test has ordered"
        elif self._rights.user in self.broker.refused_users:
            reason = f"login refused for user {self._rights.user!r}"
        if reason:
            raise BrokerUnavailable(f"no connection to the broker ({self.label}: {reason})")
        return MemoryLink(self.broker, name, self._rights, self._faults)
