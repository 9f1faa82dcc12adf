"""The control streams are followed with few rights, or none; and what holds is known after that."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import CALLS, Command, control_declarations
from rmqwork._transport.port import Connector, Link, PublishChannel
from rmqwork._worker.control.stream_reader import UNCONTROLLED_INTERVAL, StreamReader
from rmqwork.types import Publication
from tests.contract.transports import Transport
from tests.contract.verbs import publish
from tests.waiting import auntil


class NotedClock:
    """Notes each wait between two attempts to connect, and does not come back from it."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.Event().wait()


class FollowerHarness:
    """Hears what a follower passes on."""

    def __init__(self) -> None:
        self.standing: list[ControlState] = []
        self.said: list[Command] = []
        self.follower: StreamReader
        self.clock = NotedClock()

    def adopt(self, standing: ControlState) -> None:
        self.standing.append(standing)

    def act(self, command: Command) -> None:
        self.said.append(command)

    async def hear(self, connector: Connector) -> asyncio.Task[None]:
        """Follow over a connection of its own until the task is cancelled."""
        self.follower = StreamReader(connector, "ear", None, self, clock=self.clock)
        task = asyncio.create_task(self.follower.run())
        await self.follower.known()
        return task


async def test_what_was_said_before_is_known_and_what_is_said_now_is_heard(
    transport: Transport, link: Link, publisher: PublishChannel
):
    await link.declare(control_declarations())
    before = [Command("pause", {"queue": "a"}), Command("revoke", {"ids": ["1"]})]
    past = Command("ping")
    await publish(publisher, [one.publication() for one in (*before, past)])
    no_configure = transport.restricted(configure="^$")

    with no_configure as connector:
        ear = FollowerHarness()
        following = await ear.hear(connector)
        # without a mark a real broker's first messages may come a moment later
        await auntil(lambda: bool(ear.standing) and ear.standing[0].revoked == 1)
        assert list(ear.standing[0].paused) == ["a"]
        assert ear.follower.problem == ""

        garbage = Publication("", CALLS, b"no command", "id")
        old = Command("inspect", at=0.0)
        now = Command("inspect", {"n": 1}, by="op@host", reply_to="answers")
        await publish(publisher, [garbage, old.publication(), now.publication()])
        await auntil(lambda: now in ear.said)
        assert old not in ear.said
        assert past not in ear.said
        following.cancel()


@pytest.mark.parametrize("there", [False, True])
async def test_without_the_rights_a_worker_warns_once_and_works_without_control(
    transport: Transport, link: Link, there: bool, caplog: pytest.LogCaptureFixture
):
    if there:
        await link.declare(control_declarations())
    forbidden = {"read": "^q$"} if there else {"configure": "^$"}

    with caplog.at_level(logging.WARNING), transport.restricted(**forbidden) as connector:
        ear = FollowerHarness()
        following = await ear.hear(connector)
        await auntil(lambda: bool(ear.clock.waits))
        following.cancel()

    assert ear.clock.waits == [UNCONTROLLED_INTERVAL]  # it does not try again and again
    assert "rmqwork.control" in ear.follower.problem
    warnings = [line for line in caplog.messages if "cannot be controlled" in line]
    assert len(warnings) == 1
    assert ear.standing == []
