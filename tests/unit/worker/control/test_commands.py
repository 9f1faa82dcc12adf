"""Operators' commands are executed, and answered if somebody waits for that."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from typing import Any, cast

import pytest

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Answer, Command, CommandRefused, answer_of
from rmqwork._publisher.batch import Batch
from rmqwork._worker.control.commands import Control
from rmqwork.types import Publication
from tests.unit.worker.specs import shop_spec
from tests.waiting import auntil


class FakePublisher:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Publication] = []

    def submit(self, batch: Batch) -> None:
        self.sent += [entry.publication for entry in batch.entries]


class Adopter:
    """What pausing or revoking is told."""

    def __init__(self) -> None:
        self.adopted: list[ControlState] = []
        self.told: list[Command] = []

    def adopt(self, standing: ControlState) -> None:
        self.adopted.append(standing)

    def tell(self, command: Command) -> dict[str, Any]:
        self.told.append(command)
        return {"done": command.do}


class CommandsHarness:
    """The control of the worker ``me`` of the app ``shop``."""

    def __init__(self, **verbs: Callable[[Command], Any]) -> None:
        self.publisher, self.pausing, self.revoking = FakePublisher(), Adopter(), Adopter()
        self.stops = 0
        self.control = Control(
            shop_spec(),
            cast(Any, self.publisher),
            cast(Any, self.pausing),
            cast(Any, self.revoking),
            verbs,
            self._stop,
        )

    def _stop(self) -> None:
        self.stops += 1

    async def answer(self, do: str, **what: Any) -> Answer:
        """Ask, and wait for the answer."""
        command = Command(do, what, reply_to="answers", by="op@host")
        self.control.act(command)
        await auntil(lambda: self.publisher.sent, "an answer")
        [publication] = self.publisher.sent
        self.publisher.sent = []
        assert (publication.routing_key, publication.correlation_id) == ("answers", command.id)
        return answer_of(publication.body)

    async def done(self) -> None:
        """All that was asked for has been done."""
        await auntil(lambda: not self.control._tasks, "its tasks")


async def test_an_answer_says_who_gives_it() -> None:
    answer = await CommandsHarness().answer("ping")

    assert (answer.worker, answer.app, answer.pid) == ("me", "shop", os.getpid())
    assert (answer.value, answer.error) == ({}, "")


@pytest.mark.parametrize("do", ["pause", "resume", "revoke"])
async def test_what_lasts_goes_to_who_keeps_it(do: str) -> None:
    harness = CommandsHarness()

    assert (await harness.answer(do)).value == {"done": do}

    told = harness.revoking if do == "revoke" else harness.pausing
    assert [command.do for command in told.told] == [do]


@pytest.mark.parametrize(
    "command",
    [Command("ping", app="other", reply_to="a"), Command("ping", worker="you*", reply_to="a")],
)
async def test_what_is_said_to_others_is_not_heard(command: Command) -> None:
    harness = CommandsHarness()

    harness.control.act(command)
    await harness.done()

    assert harness.publisher.sent == []


async def test_a_verb_may_take_its_time_and_others_do_not_wait_for_it() -> None:
    go = asyncio.Event()

    async def slow(command: Command) -> dict[str, int]:
        await go.wait()
        return {"n": command.what["n"]}

    harness = CommandsHarness(slow=slow)
    harness.control.act(Command("slow", {"n": 7}, reply_to="a"))

    assert (await harness.answer("ping")).value == {}
    go.set()
    await harness.done()
    [publication] = harness.publisher.sent
    assert json.loads(publication.body)["value"] == {"n": 7}


async def test_nobody_is_answered_who_does_not_ask_or_is_not_meant() -> None:
    harness = CommandsHarness(none=lambda command: None)

    harness.control.act(Command("ping"))  # nobody waits
    harness.control.act(Command("none", reply_to="a"))  # nothing to say
    await harness.done()

    assert harness.publisher.sent == []


async def test_a_verb_of_a_later_version_is_refused_with_what_to_do() -> None:
    answer = await CommandsHarness().answer("teleport")

    assert answer.error == "this worker's rmqwork does not know 'teleport'; update it"
    assert answer.value is None


async def test_a_refusal_and_a_fault_are_told_and_the_fault_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(command: Command) -> None:
        raise CommandRefused("not while it stops")

    def fail(command: Command) -> None:
        raise KeyError("id")

    harness = CommandsHarness(refuse=refuse, fail=fail)

    assert (await harness.answer("refuse")).error == "not while it stops"
    assert caplog.records == []
    assert (await harness.answer("fail")).error == "KeyError: 'id'"
    assert [line.exc_info is not None for line in caplog.records] == [True]


async def test_a_shutdown_is_answered_before_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    harness = CommandsHarness()

    answer = await harness.answer("shutdown")
    assert (answer.value, harness.stops) == ({"stopping": True}, 0)

    await auntil(lambda: harness.stops == 1, "the shutdown")
    assert "shutdown was asked for by op@host" in caplog.text


async def test_what_holds_is_given_to_both_and_said_if_it_is_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rmqwork.worker.control")
    harness, nothing, something = CommandsHarness(), ControlState(), ControlState()
    something.take(Command("pause", {"queue": "low"}))
    something.take(Command("revoke", {"ids": ["1", "2"]}))

    harness.control.adopt(nothing)
    assert caplog.messages == []
    harness.control.adopt(something)

    assert harness.pausing.adopted == harness.revoking.adopted == [nothing, something]
    assert caplog.messages == ["control: 1 paused queues, 2 revocations are known"]
