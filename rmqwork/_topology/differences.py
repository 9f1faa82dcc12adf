"""Comparing what the broker has with what the app says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from rmqwork._topology.topology import Bind, Declaration, DeclareExchange
from rmqwork.errors import TopologyMismatch


@dataclass(frozen=True, slots=True)
class Difference:
    """One property in which the broker's object differs from ours.

    ``ours`` and ``theirs`` are the values as the broker prints them; None = absent.
    """

    kind: Literal["queue", "exchange"]
    name: str
    attribute: str
    ours: str | None
    theirs: str | None

    @property
    def suits(self) -> bool:
        """Whether the object can be used all the same: what keeps messages safe is alike."""
        if self.kind == "exchange":
            return self.attribute == "alternate-exchange"
        if self.attribute == "x-queue-type":
            # A quorum queue does all that a classic one promises: workers of the old version go
            # on while a queue is migrated.
            return (self.ours, self.theirs) == ("classic", "quorum")
        return self.attribute not in _NEEDED_QUEUE_PROPERTIES

    def __str__(self) -> str:
        theirs, ours = _or_absent(self.theirs), _or_absent(self.ours)
        return (
            f"{self.kind} {self.name!r}: {self.attribute} is {theirs} on the broker, "
            f"{ours} in the app"
        )


_NEEDED_QUEUE_PROPERTIES: Final = frozenset(
    {
        "x-queue-type",
        "durable",
        "exclusive",
        "auto_delete",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
    }
)


def printed(value: object) -> str | None:
    """Return a value as RabbitMQ prints it; None if there is none."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _or_absent(value: str | None) -> str:
    return "absent" if value is None else value


def with_property(declaration: Declaration, name: str, value: object) -> Declaration:
    """The same declaration with one argument changed; None leaves it out."""
    if isinstance(declaration, Bind):
        raise TypeError("a binding has no properties to compare")
    if name == "type" and isinstance(declaration, DeclareExchange):
        return replace(declaration, type=value)  # type: ignore[arg-type]
    arguments = {key: val for key, val in declaration.arguments.items() if key != name}
    if value is not None:
        arguments[name] = value
    return replace(declaration, arguments=arguments)


def usable(found: Sequence[Difference]) -> list[Difference]:
    """The differences of objects that can all be used as they are.

    Raises:
        TopologyMismatch: one cannot; with all differences, field by field.
    """
    unsuitable = [difference for difference in found if not difference.suits]
    if unsuitable:
        names = sorted({difference.name for difference in unsuitable})
        raise TopologyMismatch(
            f"{', '.join(names)}: what exists on the broker does not suit; change the app's "
            "Queue/Exchange, or delete or migrate the broker's:",
            found,
        )
    return list(found)
