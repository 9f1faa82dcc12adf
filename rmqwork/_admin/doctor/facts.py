"""What the doctor knows of a broker and an app; None = it could not be found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rmqwork._admin.provision.found import Found
from rmqwork._admin.provision.planning import Plan
from rmqwork._config.manifest import Manifest
from rmqwork.types import Server

Right = Literal["configure", "write", "read"]


@dataclass(frozen=True, slots=True)
class Denied:
    """Something that this user may not do.

    Args:
        right: which of RabbitMQ's three.
        kind: ``queue`` or ``exchange``.
        name: of it; the default exchange is ``amq.default``.
    """

    right: Right
    kind: Literal["queue", "exchange"]
    name: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster.

    Args:
        name: of it.
        running: whether it takes part.
        memory_alarm: it stops publishers: too little memory.
        disk_alarm: likewise, disk.
        disk_free: bytes.
        disk_limit: bytes below which the alarm goes off.
        partitions: nodes that it does not see.
    """

    name: str
    running: bool = True
    memory_alarm: bool = False
    disk_alarm: bool = False
    disk_free: int | None = None
    disk_limit: int | None = None
    partitions: Sequence[str] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Node:
        """A node of the management API's list."""
        return cls(
            name=str(values.get("name")),
            running=bool(values.get("running", True)),
            memory_alarm=bool(values.get("mem_alarm")),
            disk_alarm=bool(values.get("disk_free_alarm")),
            disk_free=_number(values.get("disk_free")),
            disk_limit=_number(values.get("disk_free_limit")),
            partitions=tuple(values.get("partitions") or ()),
        )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the checks look at.

    Args:
        manifest: what the app says of itself.
        server: who answered.
        host: the broker's, from the address.
        user: whom we log in as.
        encrypted: whether the connection is TLS.
        default_login: whether it is RabbitMQ's own, guest with the password guest.
        found: what the virtual host has.
        plan: what is missing there and what differs.
        denied: what this user may not do, and the app needs.
        nodes: of the cluster.
        flags: feature flags, by name, and whether they are enabled.
        critical: queues that lose their majority with one more node.
        skew: seconds that the broker's clock is ahead of ours.
        certificates: seconds until they end, by what they are.
        unknown: what could not be found out, and how it could.
    """

    manifest: Manifest
    server: Server
    host: str = "localhost"
    user: str = "guest"
    encrypted: bool = False
    default_login: bool = False
    found: Found | None = None
    plan: Plan | None = None
    denied: Sequence[Denied] | None = None
    nodes: Sequence[Node] | None = None
    flags: Mapping[str, bool] | None = None
    critical: Sequence[str] | None = None
    skew: float | None = None
    certificates: Mapping[str, float] = field(default_factory=dict)
    unknown: Sequence[str] = ()
