"""The transports that the contract is held against, and what a test can ask of each."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from rmqwork._admin.management import Management, likely_urls
from rmqwork._transport.connecting import connect
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork._transport.memory.permissions import Rights
from rmqwork._transport.port import Connector
from rmqwork.testing.broker import Broker
from rmqwork.types import Server
from tests.contract.facts import Facts, rabbitmq_facts


class Transport(Protocol):
    """A broker that is empty when a test begins."""

    facts: Facts
    server: Server

    def connector(self) -> Connector:
        """A connector with all rights."""
        ...

    def restricted(
        self,
        *,
        configure: str = ".*",
        write: str = ".*",
        read: str = ".*",
        topics: Mapping[str, str] = MappingProxyType({}),
    ) -> AbstractContextManager[Connector]:
        """A connector of a user with these rights (patterns of names), while in the context.

        ``topics``: for a topic exchange, the pattern of routing keys that the user may write to.
        """
        ...

    def cut(self, connections: int) -> None:
        """End all connections, of which there are this many, from the broker's side."""
        ...


class RabbitMQ:
    """A virtual host of a RabbitMQ.

    Args:
        broker: the broker.
        url: the virtual host's address.
        version: of the broker.
    """

    def __init__(self, broker: Broker, url: str, version: tuple[int, ...]) -> None:
        self.facts = rabbitmq_facts(version)
        self.server = Server("RabbitMQ", version)
        self._url = url.split(",")[0]
        self._vhost = urlsplit(self._url).path[1:]
        candidates = [broker.management_url] if broker.management_url else likely_urls(self._url)
        self._api = next(api for url in candidates if (api := Management(url)).answers())

    def connector(self) -> Connector:
        """A connector with all rights."""
        return connect([self._url])

    @contextmanager
    def restricted(
        self,
        *,
        configure: str = ".*",
        write: str = ".*",
        read: str = ".*",
        topics: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[Connector]:
        """A connector of a user made for it, who is deleted in the end."""
        name, password = f"rmqwork-{secrets.token_hex(4)}", secrets.token_hex(8)
        user = quote(name, safe="")
        rights = {"configure": configure, "write": write, "read": read}
        self._api.call("PUT", f"users/{user}", {"password": password, "tags": ""})
        try:
            self._api.call("PUT", f"permissions/{self._vhost}/{user}", rights)
            for exchange, pattern in topics.items():
                allowed = {"exchange": exchange, "write": pattern, "read": ".*"}
                self._api.call("PUT", f"topic-permissions/{self._vhost}/{user}", allowed)
            parts = urlsplit(self._url)
            host = parts.netloc.rpartition("@")[2]
            yield connect([urlunsplit(parts._replace(netloc=f"{name}:{password}@{host}"))])
        finally:
            self._api.call("DELETE", f"users/{user}")

    def cut(self, connections: int) -> None:
        """Close this many connections, which are all that there are."""
        place = f"vhosts/{self._vhost}/connections"
        end = time.monotonic() + 20
        names: list[str] = []
        while len(names) < connections:  # the list of connections may lag some seconds behind
            assert time.monotonic() < end, f"the broker lists {names} only"
            names = [entry["name"] for entry in json.loads(self._api.call("GET", place))]
            time.sleep(0.05)
        for name in names:
            self._api.call("DELETE", f"connections/{quote(name, safe='')}")


class Memory:
    """A broker in this process, which behaves as RabbitMQ 4.3."""

    def __init__(self) -> None:
        self.facts = rabbitmq_facts((4, 3))
        self.server = Server("rmqwork in memory, like RabbitMQ", (4, 3))
        self._broker = MemoryBroker(secrets.token_hex(4))

    def connector(self) -> Connector:
        """A connector with all rights."""
        return MemoryConnector(self._broker)

    @contextmanager
    def restricted(
        self,
        *,
        configure: str = ".*",
        write: str = ".*",
        read: str = ".*",
        topics: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[Connector]:
        """A connector of a user made for it, who may not log in after the end."""
        user = f"user-{secrets.token_hex(4)}"
        yield MemoryConnector(self._broker, Rights(configure, write, read, topics, user))
        self._broker.refuse_user(user)

    def cut(self, connections: int) -> None:
        """Close all connections."""
        assert len(self._broker.links) == connections
        self._broker.drop_connections()
