"""The connection, as far as its channels are concerned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.faults import Faults
from rmqwork._transport.memory.permissions import Rights
from rmqwork._transport.port import ChannelClosed


class Channel(Protocol):
    """A channel, as far as its connection is concerned."""

    def end(self, reason: ChannelClosed, *, asked: bool) -> None:
        """It ends; the broker's lock is held.

        Args:
            reason: told to whoever uses it from now on.
            asked: whether its user closed it, and need not be told.
        """


class Connection(Protocol):
    """What a channel asks of the connection that it is on; `MemoryLink` is one."""

    broker: MemoryBroker
    rights: Rights
    faults: Faults
    reason: str | None

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        ...

    def post(self, call: Callable[..., object], *arguments: object) -> None:
        """Have something called in the connection's loop, after all that was posted before."""

    async def turn(self) -> None:
        """Return when all that was posted so far has been heard; `ChannelClosed` if it ended."""

    def operate(self) -> None:
        """Count an operation; raises `ChannelClosed` if the connection has ended."""

    def drop(self, reason: str) -> None:
        """End it unasked."""

    def forget(self, channel: Channel) -> None:
        """A channel has ended."""
