"""Follow the control streams over the consuming connection, which may come and go."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from rmqwork.batch import Batch
from rmqwork.control.standing import Standing
from rmqwork.control.wire import (
    CALLS,
    STANDING,
    Command,
    NotACommand,
    command_of,
    control_plan,
)
from rmqwork.errors import ConfigurationError
from rmqwork.publisher import Publisher, backoff
from rmqwork.transport.port import ChannelClosed, ConsumeChannel, Link
from rmqwork.types import Delivery

_log = logging.getLogger(__name__)
BOUND: Final = 2.0
"""Seconds that the start of consumption waits at most for what was said before."""
_MARK_WAIT: Final = 1.5
_SAY_TIMEOUT: Final = 5.0
_PREFETCH: Final = 500
_PATIENT: Final = 3
"""Attempts after which it is worth a warning that a stream cannot be read."""
_REFUSED: Final = 403
_NOT_FOUND: Final = 404
_OFFSET: Final = "x-stream-offset"


class Followed(Protocol):
    """Who acts on what is said."""

    def adopt(self, standing: Standing) -> None:
        """All that was said before now is known."""

    def act(self, command: Command) -> None:
        """Something was said just now."""


class Follower:
    """Reads the stream of what holds from its beginning, and the one of calls from now on.

    That it has come to the end of the first, it learns from a mark which it publishes itself. Only
    then is what was read acted on: what has been taken back since never takes effect.

    Args:
        publisher: of this worker; None = no mark is needed, the broker is in this process.
        followed: acts.
    """

    def __init__(self, publisher: Publisher | None, followed: Followed) -> None:
        self._publisher = publisher
        self._followed = followed
        self._known = asyncio.Event()
        self._warned = ""
        self.problem = ""
        """Why this worker cannot be controlled; empty = it can."""

    async def known(self) -> None:
        """Returns when all that was said before is known, or cannot be, or takes too long."""
        try:
            await asyncio.wait_for(self._known.wait(), BOUND)
        except TimeoutError:
            _log.warning(
                "what holds on this broker (pauses, revocations) is not known after %g s; the work "
                "begins without it",
                BOUND,
            )
            self._known.set()

    async def follow(self, link: Link) -> None:
        """Follow over one connection, until cancelled or for as long as it stands."""
        attempt = 0
        while link.is_open:
            try:
                await self._follow_once(link)
            except ConfigurationError as error:
                self._off(error)
                return  # nothing but another connection, with other rights, can change it
            except ChannelClosed as error:
                if error.code == _REFUSED:
                    self._off(error)
                    return
                # A stream that was made just now may not be there yet on this node.
                _log.log(logging.WARNING if attempt == _PATIENT else logging.DEBUG, "%s", error)
            except Exception:
                _log.exception("the control streams cannot be followed")
            attempt += 1
            await asyncio.sleep(backoff(attempt))

    async def _follow_once(self, link: Link) -> None:
        """Follow until the channel or a consumer ends."""
        try:
            reading, channel = await self._read(link)
        except ChannelClosed as error:
            if error.code != _NOT_FOUND:
                raise
            await link.declare(control_plan())
            reading, channel = await self._read(link)
        self.problem = ""
        if self._publisher is None:
            await channel.synced()
            reading.adopt()
        else:
            self._say([reading.mark])
            await self._until_read(reading)
        self._say(reading.standing.fading())
        await reading.ended.wait()
        if link.is_open:
            await channel.close()

    async def _read(self, link: Link) -> tuple[_Reading, ConsumeChannel]:
        """Begin to read both streams."""
        reading = _Reading(self._followed, self._known)
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
        return reading, channel

    async def _until_read(self, reading: _Reading) -> None:
        """Returns when the mark was read, or cannot come."""
        try:
            await asyncio.wait_for(reading.marked.wait(), _MARK_WAIT)
        except TimeoutError:  # it could not be published: what was read has to do
            reading.adopt()

    def _say(self, commands: list[Command]) -> None:
        if commands and self._publisher is not None:
            publications = [command.publication() for command in commands]
            self._publisher.submit(Batch(publications, _SAY_TIMEOUT))

    def _off(self, error: Exception) -> None:
        """Control cannot be had; the worker works without it."""
        self.problem = str(error)
        if not self._known.is_set() or self._warned != self.problem:
            self._warned = self.problem
            _log.warning(
                "this worker cannot be controlled (pause, revoke, inspect): %s; it needs the "
                "streams %s and %s, and the right to read them",
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
        self.standing = Standing()
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
