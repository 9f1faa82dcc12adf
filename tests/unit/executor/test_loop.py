"""Async tasks on the loop: marked, run, reported, cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context

from rmqwork._executor.inbox import Inbox
from rmqwork._executor.loop import TaskLoop
from rmqwork.types import Success
from tests.unit.executor.marked_runs import ONE_AFTER_THE_OTHER, MarksHarness


async def test_so_does_the_loop(ends):
    stage, ended = MarksHarness(), asyncio.Event()
    ends.setblocking(False)
    inbox = Inbox(ends, lambda numbers: None, on_broken=lambda: None)

    TaskLoop(
        1,
        1,
        runner=stage,
        context=Context(),
        inbox=inbox,
        writer=stage,
        marks=stage.marks,
        ended=ended.set,
    ).start()
    await asyncio.wait_for(ended.wait(), 5)

    assert stage.seen == ONE_AFTER_THE_OTHER
    assert stage.marks.read() == {}


async def test_outcomes_of_one_turn_of_the_loop_go_together(ends):
    stage, ended = MarksHarness(), asyncio.Event()
    ends.setblocking(False)
    batches = []
    stage.send = lambda messages: batches.append(len(messages))

    TaskLoop(
        2,
        0,
        runner=stage,
        context=Context(),
        inbox=Inbox(ends, lambda numbers: None, on_broken=lambda: None),
        writer=stage,
        marks=stage.marks,
        ended=ended.set,
    ).start()
    await asyncio.wait_for(ended.wait(), 5)

    assert batches == [2]


async def test_the_loop_tells_whose_cancellation_it_was(ends):
    stage, ended, cancelled = MarksHarness(), asyncio.Event(), {}
    ends.setblocking(False)

    async def arun(prepared, ended):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
        cancelled[prepared.number] = ended()
        return Success(0.0)

    stage.arun = arun
    loop = TaskLoop(
        2,
        0,
        runner=stage,
        context=Context(),
        inbox=Inbox(ends, lambda numbers: None, on_broken=lambda: None),
        writer=stage,
        marks=stage.marks,
        ended=ended.set,
    )
    loop.start()
    while not loop._tasks:
        await asyncio.sleep(0)
    loop.cancel(1, "the worker shuts down")
    await asyncio.wait_for(ended.wait(), 5)

    assert cancelled == {1: True, 2: False}


async def test_what_is_cancelled_before_its_first_step_is_reported(ends):
    """Without a word it would be waited for until the hard deadline."""
    stage, ended = MarksHarness(), asyncio.Event()
    ends.setblocking(False)
    loop = TaskLoop(
        2,
        0,
        runner=stage,
        context=Context(),
        inbox=Inbox(ends, lambda numbers: None, on_broken=lambda: None),
        writer=stage,
        marks=stage.marks,
        ended=ended.set,
    )
    loop._on_readable()
    loop.cancel_all("the worker shuts down")
    while not loop._inbox.ended:
        loop._on_readable()
    async with asyncio.timeout(10):
        while [what for what, _, _ in stage.seen].count("report") < 2:
            await asyncio.sleep(0)

    assert {number for what, number, _ in stage.seen if what == "report"} == {1, 2}
