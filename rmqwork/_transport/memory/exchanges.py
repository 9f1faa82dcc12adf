"""Exchanges, and where they lead a message.

Sources: RabbitMQ guides "Exchanges", "Alternate Exchanges", "Exchange to Exchange Bindings".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rmqwork._transport.memory.message import Message
from rmqwork._transport.port import ChannelClosed

NO_ROUTE: Final = "NO_ROUTE (312)"
"""What is said of a message that no queue is for."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What leads from an exchange to a queue or another exchange."""

    destination: str
    to_exchange: bool
    routing_key: str
    arguments: tuple[tuple[str, object], ...]


@dataclass(slots=True, eq=False)
class MemoryExchange:
    """An exchange and its bindings."""

    name: str
    type: str
    arguments: Mapping[str, object]
    bindings: dict[Binding, None] = field(default_factory=dict)

    @property
    def alternate(self) -> str | None:
        """The name of its alternate exchange."""
        name = self.arguments.get("alternate-exchange")
        return name if isinstance(name, str) else None

    def matching(self, keys: tuple[str, ...], headers: Mapping[str, object]) -> list[Binding]:
        """The bindings that a message with these routing keys and headers fits."""
        match self.type:
            case "fanout":
                return list(self.bindings)
            case "headers":
                return [one for one in self.bindings if headers_match(one.arguments, headers)]
            case "topic":
                return [
                    one
                    for one in self.bindings
                    if any(topic_matches(one.routing_key, key) for key in keys)
                ]
        return [one for one in self.bindings if one.routing_key in keys]


def topic_matches(pattern: str, key: str) -> bool:
    """Whether a routing key fits a topic exchange's pattern: ``*`` one word, ``#`` any number."""
    if pattern == "#":
        return True
    if "*" not in pattern and "#" not in pattern:
        return pattern == key
    return _words_match(_words(pattern), _words(key))


def _words(text: str) -> list[str]:
    return text.split(".") if text else []


def _words_match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(_words_match(rest, words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and _words_match(rest, words[1:])


def headers_match(arguments: tuple[tuple[str, object], ...], headers: Mapping[str, object]) -> bool:
    """Whether headers fit a binding of a headers exchange; a void value asks for presence."""
    wanted = dict(arguments)
    kind = wanted.pop("x-match", "all")
    if kind in ("all", "any"):
        wanted = {key: value for key, value in wanted.items() if not key.startswith("x-")}
    fits = (_fits(key, value, headers) for key, value in wanted.items())
    return any(fits) if kind in ("any", "any-with-x") else all(fits)


def _fits(key: str, wanted: object, headers: Mapping[str, object]) -> bool:
    if key not in headers:
        return False
    value = headers[key]
    return wanted is None or (type(value) is type(wanted) and value == wanted)


class Exchanges(dict[str, MemoryExchange]):
    """All exchanges of a broker, by name."""

    def find(self, name: str) -> MemoryExchange:
        """An exchange.

        Raises:
            ChannelClosed: there is none.
        """
        found = self.get(name)
        if found is None:
            raise ChannelClosed(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'")
        return found

    def route(self, message: Message) -> list[str]:
        """The names of the queues that a message is for, each once.

        Raises:
            ChannelClosed: there is no such exchange.
        """
        keys, headers = message.routing_keys, message.content.headers
        name = message.content.exchange
        if not name:
            return list(dict.fromkeys(keys))
        waiting, seen = [self.find(name)], {name}
        queues: dict[str, None] = {}
        while waiting:
            exchange = waiting.pop()
            matching = exchange.matching(keys, headers)
            onwards = [one.destination for one in matching if one.to_exchange]
            if not matching and exchange.alternate is not None:
                onwards.append(exchange.alternate)
            queues.update(dict.fromkeys(o.destination for o in matching if not o.to_exchange))
            for other in onwards:
                if other in self and other not in seen:
                    seen.add(other)
                    waiting.append(self[other])
        return list(queues)

    def forget_queue(self, queue: str) -> None:
        """Drop the bindings of a queue that is gone."""
        for exchange in self.values():
            for binding in list(exchange.bindings):
                if binding.destination == queue and not binding.to_exchange:
                    del exchange.bindings[binding]
