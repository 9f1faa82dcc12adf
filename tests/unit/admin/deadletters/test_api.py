"""Dead letters of an app: replayed beside tasks that run, grouped, exported; blocking and not."""

from __future__ import annotations

import asyncio

import pytest
from tenacity import wait_fixed

from rmqwork import App, Retry
from rmqwork._admin.deadletters.api import DeadLetters
from rmqwork._admin.deadletters.selection import Selection
from rmqwork._messages.history import steps
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork.errors import ConfigurationError
from rmqwork.testing.kit import memory
from tests.unit.admin.deadletters.dead_letters import fill, ids, published


def test_a_step_that_is_replayed_goes_on_with_its_workflow() -> None:
    app = App("shop", queues=["q"])
    broken = [True]
    seen = []

    @app.task(retry=Retry(max_attempts=2, wait=wait_fixed(1)))
    def add(x: int, y: int) -> int:
        if broken[0]:
            raise ValueError(f"no {x}")
        return x + y

    @app.task
    def keep(value: int) -> None:
        seen.append(value)

    with memory(app) as kit:
        (add.s(1, 2) | keep.s()).delay()
        (letter,) = kit.run_all().dead_letters
        assert [step.what for step in steps(letter.headers)] == ["ValueError: no 1"]
        assert letter.attempt == 2

        broken[0] = False
        letters = DeadLetters.of(app)
        assert letters.replay().replayed == 1
        assert not kit.run_all().dead_letters
        assert seen == [3]


def test_what_fails_again_after_a_replay_tells_of_both() -> None:
    app = App("shop", queues=["q"])

    @app.task
    def fails(x: int) -> None:
        raise ValueError(x)

    with memory(app) as kit:
        fails.delay(1)
        kit.run_all()
        DeadLetters.of(app).replay()
        (letter,) = kit.run_all().dead_letters
        assert letter.headers["rmqwork-replay"] == 1
        assert letter.attempt == 1
        assert [step.what for step in steps(letter.headers)] == ["ValueError: 1", "replayed"]
        (group,) = DeadLetters.of(app).groups()
        assert group.where.endswith("in fails")


async def test_groups_and_export(letters: DeadLetters) -> None:
    groups = await letters.agroups()
    assert [(group.count, group.key.error_type) for group in groups] == [
        (4, "KeyError"),
        (4, "OSError"),
        (4, "ValueError"),
    ]
    lines = await letters.aexport(Selection(groups=[groups[1].id]))
    assert len(lines) == 4
    await letters.apurge(Selection())
    done = await letters.aload(lines)
    assert done.published == len(await ids(letters)) == 4


async def test_a_blocking_verb_on_an_event_loop_names_its_twin(letters: DeadLetters) -> None:
    with pytest.raises(ConfigurationError, match=r"await DeadLetters.agroups\(\)"):
        letters.groups()


def test_blocking_verbs() -> None:
    connector = MemoryConnector(MemoryBroker("blocking"))
    asyncio.run(fill(connector, [published(1), published(2)]))
    letters = DeadLetters(connector, ["q"])
    assert len(letters.read()) == letters.groups()[0].count == len(letters.export()) == 2
    assert letters.replay(Selection(ids=["id2"])).replayed == 1
    lines = letters.export()
    assert letters.purge(Selection()) == 1
    assert letters.load(lines).published == 1
