"""Follow the control streams, over a connection of its own, which may come and go."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import (
    CALLS,
    STANDING,
    Command,
    NotACommand,
    command_of,
    control_declarations,
)
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._transport.port import ChannelClosed, Connector, ConsumeChannel, Link
from rmqwork._transport.reconnecting import SYSTEM_CLOCK, Clock, Reconnecting
from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.types import Delivery

_log = logging.getLogger("rmqwork.worker.control")
KNOWN_TIMEOUT: Final = 2.0
"""Seconds that the start of consumption waits at most for what was said before."""
MARK_TIMEOUT: Final = 1.5
"""Seconds that the mark has, from its publication until it is read."""
_SAY_TIMEOUT: Final = 5.0
_PREFETCH: Final = 500
_PATIENT: Final = 3
"""Attempts after which a stream is left alone for a while."""
UNCONTROLLED_INTERVAL: Final = 120.0
"""Seconds until a worker that cannot be controlled tries again."""
_REFUSED: Final = 403
_NOT_FOUND: Final = 404
_OFFSET: Final = "x-stream-offset"


class Followed(Protocol):
    """Who acts on what is said."""

    def adopt(self, standing: ControlState) -> None:
        """All that was said before now is known."""

    def act(self, command: Command) -> None:
        """Something was said just now."""


class StreamReader:
    """Reads the stream of what holds from its beginning, and the one of calls from now on.

    That it has come to the end of the first, it learns from a mark which it publishes itself. Only
    then is what was read acted on: what has been taken back since never takes effect.

    Args:
        connector: where connections come from.
        name: shown in the broker's list of connections.
        publisher: of this worker; None = no mark is needed, the broker is in this process.
        followed: acts.
        clock: of the waits between two attempts to connect.
        known_timeout: seconds that the start of consumption waits at most for what was said before.
        mark_timeout: seconds that the mark has, from its publication until it is read.
    """

    def __init__(
        self,
        connector: Connector,
        name: str,
        publisher: Publisher | None,
        followed: Followed,
        *,
        clock: Clock = SYSTEM_CLOCK,
        known_timeout: float = KNOWN_TIMEOUT,
        mark_timeout: float = MARK_TIMEOUT,
    ) -> None:
        self._known_timeout = known_timeout
        self._mark_timeout = mark_timeout
        self._connector = connector
        self._name = name
        self._publisher = publisher
        self._followed = followed
        self._clock = clock
        self._known = asyncio.Event()
        self._warned = ""
        self.problem = ""
        """Why this worker cannot be controlled; empty = it can."""

    async def known(self) -> None:
        """Returns when all that was said before is known, or cannot be, or takes too long."""
        try:
            await asyncio.wait_for(self._known.wait(), self._known_timeout)
        except TimeoutError:
            _log.warning(
                "what holds on this broker (pauses, revocations) is not known after %g s; the work "
                "begins without it",
                self._known_timeout,
            )
            self._known.set()

    async def run(self) -> None:
        """Follow over a connection of its own, until cancelled.

        Not over the one that consumes: whatever is wrong with a stream must not stop the work. A
        stream that its broker has lost ends the connection of whoever reads it (RabbitMQ 4.3.6,
        killed within a second after it had made its first stream).
        """
        reconnecting = Reconnecting(self._clock)
        async for attempt in reconnecting:
            try:
                await self._connected_once()
            except ConfigurationError as error:
                self._off(error)
            except ChannelClosed as error:
                if error.code == _REFUSED or attempt >= _PATIENT:
                    self._off(error)
            except BrokerUnavailable as error:
                _log.debug("control: %s", error)
            except Exception:
                _log.exception("the control streams cannot be followed")
            if self.problem:
                reconnecting.wait(UNCONTROLLED_INTERVAL)

    async def _connected_once(self) -> None:
        link = await self._connector.open(self._name)
        try:
            await self._follow_once(link)
        finally:
            await link.close()

    async def _follow_once(self, link: Link) -> None:
        """Follow until the channel or a consumer ends."""
        try:
            reading = await self._read(link)
        except ChannelClosed as error:
            if error.code != _NOT_FOUND:
                raise
            await link.declare(control_declarations())
            reading = await self._read(link)
        self.problem = ""
        if self._publisher is None and reading.channel is not None:
            await reading.channel.synced()
            reading.adopt()
        else:
            self._say([reading.mark])
            await self._until_read(reading)
        self._say(reading.standing.pauses_to_refresh())
        await reading.ended.wait()

    async def _read(self, link: Link) -> _Reading:
        """Begin to read both streams."""
        reading = _Reading(self._followed, self._known)
        link.on_lost(reading.end)
        channel: ConsumeChannel = await link.open_consuming(reading.end)
        reading.channel = channel
        for stream, take, offset in (
            (CALLS, reading.call, "next"),
            (STANDING, reading.said, "first"),
        ):
            await channel.consume(
                stream,
                prefetch=_PREFETCH,
                deliver=take,
                cancelled=reading.end,
                arguments={_OFFSET: offset},
            )
        return reading

    async def _until_read(self, reading: _Reading) -> None:
        """Returns when the mark was read, or cannot come."""
        try:
            await asyncio.wait_for(reading.marked.wait(), self._mark_timeout)
        except TimeoutError:  # it could not be published: what was read has to do
            reading.adopt()

    def _say(self, commands: list[Command]) -> None:
        if commands and self._publisher is not None:
            publications = [command.publication() for command in commands]
            self._publisher.submit(Batch(publications, _SAY_TIMEOUT, best_effort=True))

    def _off(self, error: Exception) -> None:
        """Control cannot be had; the worker works without it."""
        self.problem = str(error)
        if not self._known.is_set() or self._warned != self.problem:
            self._warned = self.problem
            _log.warning(
                "this worker cannot be controlled (pause, revoke, inspect): %s; it needs the "
                "streams %s and %s, whole, and the right to read them",
                self.problem,
                STANDING,
                CALLS,
            )
        self._known.set()


class _Reading:
    """What one channel has read."""

    def __init__(self, followed: Followed, known: asyncio.Event) -> None:
        self._followed = followed
        self._known = known
        self.channel: ConsumeChannel | None = None
        self.standing = ControlState()
        self.mark = Command("mark")
        self.marked = asyncio.Event()
        self.ended = asyncio.Event()

    def end(self, _reason: str) -> None:
        """The channel or a consumer has ended."""
        self.ended.set()
        self.marked.set()

    def said(self, delivery: Delivery) -> None:
        """A message of the stream that is read from its beginning."""
        command = self._command(delivery)
        if command is None:
            return
        offset = delivery.headers.get(_OFFSET)
        self.standing.take(command, offset if isinstance(offset, int) else 0)
        if command.id == self.mark.id:
            self.adopt()
        elif self.marked.is_set() and command.do != "mark":
            self._followed.act(command)

    def call(self, delivery: Delivery) -> None:
        """A message of the stream that is read from now on."""
        command = self._command(delivery)
        if command is not None and not command.too_old:
            self._followed.act(command)

    def adopt(self) -> None:
        """All that was said before is read."""
        if not self.ended.is_set():
            self._followed.adopt(self.standing)
            self.marked.set()
            self._known.set()

    def _command(self, delivery: Delivery) -> Command | None:
        if self.channel is not None:
            self.channel.ack(delivery)
        try:
            return command_of(delivery)
        except NotACommand as error:
            _log.warning("%s; it is ignored", error)
            return None
