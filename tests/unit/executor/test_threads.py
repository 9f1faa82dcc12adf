"""The order in which a run is marked, run, reported and unmarked."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress

import pytest

from rmqwork._executor.inbox import Inbox
from rmqwork._executor.loop import TaskLoop
from rmqwork._executor.threads import TaskThreads
from rmqwork._worker.ipc.start_marks import Marks, create
from rmqwork._worker.ipc.wire import pack
from rmqwork.types import Success


class Stage:
    """A runner and an outlet that look at the marks whenever they are called."""

    def __init__(self) -> None:
        fd = create(2)
        self.marks = Marks(fd, 2)
        os.close(fd)
        self.seen: list[tuple[object, ...]] = []

    def note(self, what: str, number: object) -> None:
        self.seen.append((what, number, sorted(self.marks.read())))

    def prepare(self, message):
        self.note("prepare", message[1])
        return Delivered(message[1])

    def run(self, prepared):
        self.note("run", prepared.number)
        return Success(0.0)

    async def arun(self, prepared, ended):
        await asyncio.sleep(0)
        return self.run(prepared)

    def send(self, messages):
        for message in messages:
            self.note("report", message[1])


class Delivered:
    time_limit = None
    task_name = "t"

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.sendall(pack([("d", 1), ("d", 2)]))
    ours.shutdown(socket.SHUT_WR)
    yield theirs
    ours.close()
    theirs.close()


ONE_AFTER_THE_OTHER = [
    (what, number, [number]) for number in (1, 2) for what in ("prepare", "run", "report")
]


def test_a_thread_marks_before_user_code_and_unmarks_after_the_report(ends):
    stage, ended = Stage(), threading.Event()
    inbox = Inbox(ends, lambda numbers: None)

    TaskThreads(
        1, runner=stage, inbox=inbox, outlet=stage, marks=stage.marks, ended=ended.set
    ).start()

    assert ended.wait(5)
    assert stage.seen == ONE_AFTER_THE_OTHER
    assert stage.marks.read() == {}


async def test_so_does_the_loop(ends):
    stage, ended = Stage(), asyncio.Event()
    ends.setblocking(False)
    inbox = Inbox(ends, lambda numbers: None)

    TaskLoop(
        1, 1, runner=stage, inbox=inbox, outlet=stage, marks=stage.marks, ended=ended.set
    ).start()
    await asyncio.wait_for(ended.wait(), 5)

    assert stage.seen == ONE_AFTER_THE_OTHER
    assert stage.marks.read() == {}


async def test_outcomes_of_one_turn_of_the_loop_go_together(ends):
    stage, ended = Stage(), asyncio.Event()
    ends.setblocking(False)
    batches = []
    stage.send = lambda messages: batches.append(len(messages))

    TaskLoop(
        2,
        0,
        runner=stage,
        inbox=Inbox(ends, lambda numbers: None),
        outlet=stage,
        marks=stage.marks,
        ended=ended.set,
    ).start()
    await asyncio.wait_for(ended.wait(), 5)

    assert batches == [2]


async def test_the_loop_tells_whose_cancellation_it_was(ends):
    stage, ended, cancelled = Stage(), asyncio.Event(), {}
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
        inbox=Inbox(ends, lambda numbers: None),
        outlet=stage,
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
    stage, ended = Stage(), asyncio.Event()
    ends.setblocking(False)
    loop = TaskLoop(
        2,
        0,
        runner=stage,
        inbox=Inbox(ends, lambda numbers: None),
        outlet=stage,
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
