"""An event loop that no task ends."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from rmqwork._executor.loop_runner import LoopRunner


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


async def disturbed(by: str) -> str:
    loop = asyncio.get_running_loop()
    if by == "stop":
        loop.stop()
    else:
        loop.call_soon(sys.exit, 3)
    await asyncio.sleep(0.01)
    return "went on"


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize(("by", "told"), [("stop", 0), ("exit", 1)])
def test_it_goes_on_after_what_ends_a_loop(
    loop: asyncio.AbstractEventLoop, threaded: bool, by: str, told: int
) -> None:
    exits: list[BaseException] = []
    runner = LoopRunner(loop, exits.append)
    if threaded:
        runner.start_thread()

    assert runner.run(disturbed(by)) == "went on"

    runner.stop()
    assert len(exits) == told


def test_what_a_coroutine_raises_itself_is_for_its_caller(loop: asyncio.AbstractEventLoop) -> None:
    exits: list[BaseException] = []
    runner = LoopRunner(loop, exits.append)

    async def leaves() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit):
        runner.run(leaves())
    assert exits == []


def test_its_thread_is_named_and_ends_and_the_loop_goes_on_here(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def where() -> int:
        return threading.get_ident()

    runner = LoopRunner(loop, lambda error: None)
    assert runner.run(where()) == threading.get_ident() == runner.thread_id
    runner.start_thread()
    assert runner.run(where()) == runner.thread_id != threading.get_ident()
    runner.stop()
    assert runner.run(where()) == threading.get_ident()
    assert "rmqwork-loop" not in [thread.name for thread in threading.enumerate()]
