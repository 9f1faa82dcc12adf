"""What holds is known before the work begins, or the work begins without it.

`tests/contract/test_following.py` has what a broker's rights do to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import count
from typing import Any, cast

import pytest

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import CALLS, STANDING, Command, control_declarations
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import Connector
from rmqwork._worker.control.stream_reader import StreamReader
from rmqwork.errors import BrokerUnavailable
from rmqwork.types import Publication
from tests.unit.fakes import QuickClock, turns
from tests.waiting import auntil

_numbers = count(1)


class SilentPublisher:
    """Publishes nothing: the broker blocks it."""

    def submit(self, batch: Batch) -> None: ...


class Ear:
    """A broker in memory, its publisher, and what a reader of its streams passes on."""

    def __init__(self) -> None:
        self.connector: Connector = connect((f"memory://ear-{next(_numbers)}",), None)
        self.publisher = Publisher(self.connector, control_declarations(), "publish")
        self.standing: list[ControlState] = []
        self.acts: list[Command] = []
        self._tasks: list[asyncio.Task[None]] = []

    def adopt(self, standing: ControlState) -> None:
        self.standing.append(standing)

    def act(self, command: Command) -> None:
        self.acts.append(command)

    def read(self, publisher: Any = "own", **given: float) -> StreamReader:
        chosen = self.publisher if publisher == "own" else publisher
        reader = StreamReader(self.connector, "ear", chosen, self, clock=QuickClock(), **given)
        self._tasks.append(asyncio.create_task(reader.run()))
        return reader

    async def say(self, *commands: Command | Publication) -> None:
        publications = [
            one if isinstance(one, Publication) else one.publication() for one in commands
        ]
        batch = Batch(publications, 10.0)
        self.publisher.submit(batch)
        assert await asyncio.wrap_future(batch.future) == [None] * len(publications)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.publisher.close(0.01), 5)


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = Ear()
    yield ear
    await ear.close()


async def test_what_was_taken_back_never_takes_effect(ear: Ear) -> None:
    await ear.say(
        Command("pause", {"queue": "a"}),
        Command("pause", {"queue": "b"}),
        Command("revoke", {"ids": ["1"]}),
        Command("resume", {"queue": "a"}),
    )

    await ear.read().known()

    [standing] = ear.standing
    assert list(standing.paused) == ["b"]
    assert standing.revoked == 1
    assert ear.acts == []


async def test_what_is_said_later_is_acted_on_and_adopted_by_the_same_state(ear: Ear) -> None:
    reader = ear.read()
    await reader.known()
    pause, ping = Command("pause", {"queue": "a"}), Command("ping")

    await ear.say(pause, ping)
    await auntil(lambda: len(ear.acts) == 2, "both")

    assert {command.do for command in ear.acts} == {"pause", "ping"}
    assert list(ear.standing[0].paused) == ["a"]
    assert reader.problem == ""


async def test_another_workers_mark_is_no_command(ear: Ear) -> None:
    await ear.read().known()
    await ear.read().known()  # another worker, which publishes its mark
    await ear.say(Command("ping"))
    await auntil(lambda: len(ear.acts) == 2, "one ping each")

    assert [command.do for command in ear.acts] == ["ping", "ping"]


async def test_what_is_no_command_is_ignored(ear: Ear, caplog: pytest.LogCaptureFixture) -> None:
    await ear.say(Publication("", STANDING, b"[]", "id-1"), Command("pause", {"queue": "a"}))
    await ear.read().known()
    await ear.say(Publication("", CALLS, b"\xff", "id-2"), Command("ping", at=0.0), Command("ping"))
    await auntil(lambda: ear.acts, "a ping")

    assert list(ear.standing[0].paused) == ["a"]
    assert len(ear.acts) == 1, "an old call is not answered"
    assert caplog.text.count("it is ignored") == 2


async def test_without_a_mark_what_was_read_has_to_do(ear: Ear) -> None:
    await ear.say(Command("pause", {"queue": "a"}))

    await ear.read(cast(Any, SilentPublisher()), mark_timeout=0.05).known()

    assert list(ear.standing[0].paused) == ["a"]


async def test_the_work_begins_without_what_takes_too_long(
    ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    reader = ear.read(cast(Any, SilentPublisher()), mark_timeout=60.0, known_timeout=0.05)

    await reader.known()
    await reader.known()  # said once

    assert ear.standing == []
    assert caplog.text.count("is not known after 0.05 s") == 1


async def test_without_a_broker_it_tries_again_and_reads_from_the_beginning(ear: Ear) -> None:
    await ear.say(Command("pause", {"queue": "a"}))
    broker, failures = ear.connector, 3

    class Away:
        label = "memory://"

        async def open(self, name: str) -> Any:
            nonlocal failures
            if failures:
                failures -= 1
                raise BrokerUnavailable("nobody answers")
            return await broker.open(name)

    ear.connector = Away()
    reader = ear.read()
    await reader.known()
    await auntil(lambda: ear.standing, "what holds")

    assert failures == 0
    assert list(ear.standing[0].paused) == ["a"]
    assert reader.problem == ""


async def test_a_broker_in_this_process_needs_no_mark(ear: Ear) -> None:
    await ear.say(Command("pause", {"queue": "a"}))

    await ear.read(None).known()
    await turns()

    assert list(ear.standing[0].paused) == ["a"]
