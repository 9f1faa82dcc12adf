"""What a user of a broker in memory may do; patterns of names, as RabbitMQ's permissions.

Source: RabbitMQ guide "Authentication, Authorisation, Access Control".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rmqwork._transport.port import ChannelClosed

GUEST: Final = "guest"
_ACCESS_REFUSED: Final = 403


@dataclass(frozen=True, slots=True)
class Rights:
    """Patterns (regular expressions, found anywhere in a name).

    Args:
        configure: of what may be declared and deleted.
        write: of exchanges that may be published to, and destinations that may be bound.
        read: of queues that may be consumed, and sources that may be bound.
        topics: for a topic exchange, the pattern of routing keys that may be published.
        user: for the error's text.
    """

    configure: str = ".*"
    write: str = ".*"
    read: str = ".*"
    topics: Mapping[str, str] = field(default_factory=dict)
    user: str = GUEST

    def check(self, pattern: str, kind: str, name: str) -> None:
        """See that a name fits one of these patterns.

        Raises:
            ChannelClosed: it does not (403).
        """
        known = name or ("amq.default" if kind == "exchange" else name)
        if not _fits(pattern, known):
            raise self._refused(f"{kind} '{known}'")

    def check_topic(self, exchange: str, routing_key: str) -> None:
        """See that a routing key may be published to a topic exchange.

        Raises:
            ChannelClosed: it may not (403).
        """
        pattern = self.topics.get(exchange)
        if pattern is not None and not _fits(pattern, routing_key):
            raise self._refused(f"topic '{routing_key}' in exchange '{exchange}'")

    def _refused(self, what: str) -> ChannelClosed:
        text = f"ACCESS_REFUSED - access to {what} in vhost '/' refused for user '{self.user}'"
        return ChannelClosed(_ACCESS_REFUSED, text)


def _fits(pattern: str, name: str) -> bool:
    """An empty pattern fits the empty name alone."""
    return re.search(pattern or "^$", name) is not None
