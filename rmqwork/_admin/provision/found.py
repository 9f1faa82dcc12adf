"""What a virtual host has, as the management API tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from rmqwork._admin.management import Management
from rmqwork._topology.topology import Bind

_QUEUE_COLUMNS = (
    "name,type,durable,auto_delete,exclusive,arguments,policy,effective_policy_definition,"
    "messages,consumers"
)


@dataclass(frozen=True, slots=True)
class FoundQueue:
    """A queue of the broker.

    Args:
        name: of the queue.
        type: ``quorum``, ``classic``, ``stream``.
        durable: whether it survives a restart.
        auto_delete: whether it goes with its last consumer.
        exclusive: whether it goes with its connection.
        arguments: of its declaration.
        policy: the name of the policy that applies to it.
        policy_definition: what policies and operator policies say of it together.
        messages: ready and unacked; late by some seconds.
        consumers: how many read it; late likewise.
    """

    name: str
    type: str = "classic"
    durable: bool = True
    auto_delete: bool = False
    exclusive: bool = False
    arguments: Mapping[str, object] = field(default_factory=dict)
    policy: str | None = None
    policy_definition: Mapping[str, object] = field(default_factory=dict)
    messages: int = 0
    consumers: int = 0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> FoundQueue:
        """A queue of the API's list."""
        arguments = dict(values.get("arguments") or {})
        return cls(
            name=values["name"],
            type=str(values.get("type") or arguments.get("x-queue-type", "classic")),
            durable=bool(values.get("durable", True)),
            auto_delete=bool(values.get("auto_delete")),
            exclusive=bool(values.get("exclusive")),
            arguments=arguments,
            policy=values.get("policy") or None,
            policy_definition=dict(values.get("effective_policy_definition") or {}),
            messages=int(values.get("messages") or 0),
            consumers=int(values.get("consumers") or 0),
        )


@dataclass(frozen=True, slots=True)
class FoundExchange:
    """An exchange of the broker; see `FoundQueue`."""

    name: str
    type: str = "topic"
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False
    arguments: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> FoundExchange:
        """An exchange of the API's list."""
        return cls(
            name=values["name"],
            type=values["type"],
            durable=bool(values.get("durable", True)),
            auto_delete=bool(values.get("auto_delete")),
            internal=bool(values.get("internal")),
            arguments=dict(values.get("arguments") or {}),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """All that a virtual host has, by name.

    Args:
        queues: by name.
        exchanges: by name; the broker's own included.
        bindings: those of the default exchange are left out.
    """

    queues: Mapping[str, FoundQueue] = field(default_factory=dict)
    exchanges: Mapping[str, FoundExchange] = field(default_factory=dict)
    bindings: Sequence[Bind] = ()


def read_found(management: Management, vhost: str) -> Found:
    """Ask the management API what a virtual host has.

    Raises:
        ManagementError: it did not say.
    """
    place = quote(vhost, safe="")
    queues = _list(management, f"queues/{place}?columns={_QUEUE_COLUMNS}")
    exchanges = _list(management, f"exchanges/{place}")
    bindings = _list(management, f"bindings/{place}")
    return Found(
        queues={one["name"]: FoundQueue.of(one) for one in queues},
        exchanges={one["name"]: FoundExchange.of(one) for one in exchanges},
        bindings=[binding_of(one) for one in bindings if one["source"]],
    )


def binding_of(values: Mapping[str, Any]) -> Bind:
    """A binding of the API's list."""
    return Bind(
        values["source"],
        values["destination"],
        values.get("routing_key", ""),
        dict(values.get("arguments") or {}),
        to_exchange=values.get("destination_type") == "exchange",
    )


def _list(management: Management, path: str) -> list[dict[str, Any]]:
    found = json.loads(management.call("GET", path))
    return list(found if isinstance(found, list) else found.get("items", []))
