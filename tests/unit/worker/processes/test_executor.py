"""One executor, as the worker process sees it: a process at the other ends of its sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.reports import pack_reports
from rmqwork._worker.ipc.wire import Message, Unpacker
from rmqwork._worker.processes.executor import Executor, State
from tests.waiting import auntil


class OtherEnd:
    """The process, played by the test: reads what it is sent, and reports."""

    def __init__(self, executor: Executor) -> None:
        control, threads, loop, self.marks = executor.take_fds()
        self.control = socket.socket(fileno=control)
        self.threads = socket.socket(fileno=threads)
        self.loop = socket.socket(fileno=loop)

    def report(self, *messages: Message) -> None:
        self.control.sendall(pack_reports(list(messages)))

    @staticmethod
    def read(sock: socket.socket) -> list[Any]:
        """What has come by one socket."""
        sock.setblocking(False)
        unpacker, messages = Unpacker(), []
        while True:
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                return messages
            if not data:
                return [*messages, "the end"]
            messages += unpacker.feed(data)

    def close(self) -> None:
        for sock in (self.control, self.threads, self.loop):
            sock.close()


class ExecutorHarness:
    """An executor, its other end, and what the worker is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.killed: list[tuple[int, int]] = []
        self.executor = Executor(3, 2, 1, self, lambda *one: self.killed.append(one))
        self.end = OtherEnd(self.executor)

    def on_ready(self, executor: Executor) -> None:
        self.told.append(("ready", executor))

    def on_messages(self, executor: Executor, messages: list[Message]) -> None:
        self.told += [("message", message) for message in messages]

    def on_death(self, executor: Executor, death: Death) -> None:
        self.told.append(("death", death))

    async def tells(self, number: int) -> list[tuple[str, Any]]:
        await auntil(lambda: len(self.told) >= number, lambda: self.told)
        return self.told


@pytest.fixture
async def harness() -> AsyncIterator[ExecutorHarness]:
    harness = ExecutorHarness()
    yield harness
    harness.executor.died(Death(1, 0))
    harness.end.close()
    os.close(harness.end.marks)


def sent(number: int) -> Message:
    return ("d", number, "q", "t", b"{}", 1, False, f"id-{number}", None, "application/json", None)


async def test_it_is_ready_when_it_says_so(harness: ExecutorHarness) -> None:
    assert harness.executor.state is State.STARTING

    harness.end.report(("ready", 4711))

    assert await harness.tells(1) == [("ready", harness.executor)]
    assert harness.executor.state is State.READY
    assert harness.executor.pid is None  # that is what the template says


async def test_deliveries_go_by_the_socket_of_their_kind_until_their_outcome(
    harness: ExecutorHarness,
) -> None:
    harness.executor.send_threads([sent(1), sent(2)])
    harness.executor.send_async([sent(3)])
    assert set(harness.executor.outstanding) == {1, 2, 3}
    assert [one[1] for one in harness.end.read(harness.end.threads)] == [1, 2]
    assert [one[1] for one in harness.end.read(harness.end.loop)] == [3]

    outcome = ("o", 1, "s", 0.25, None)
    harness.end.report(outcome, ("back", [2]), ("cancelled", 3))
    told = await harness.tells(3)

    assert [message[:2] for _, message in told] == [("o", 1), ("back", [2]), ("cancelled", 3)]
    assert not harness.executor.outstanding
    assert harness.executor.finished == 2  # what goes back has not run


async def test_orders_go_by_the_control_socket(harness: ExecutorHarness) -> None:
    executor = harness.executor
    executor.give_back([1])
    executor.give_back()
    executor.stopping()
    executor.cancel_async()
    executor.cancel(5, "revoked")
    executor.stack(8, 5)
    executor.log_level("", 10)
    executor.ping(9)

    assert harness.end.read(harness.end.control) == [
        ("give-back", [1]),
        ("give-back", None),
        ("stopping",),
        ("cancel-async",),
        ("cancel", 5, "revoked"),
        ("stack", 8, 5),
        ("log-level", None, 10),
        ("ping", 9),
    ]


async def test_an_exit_is_told_and_ends_the_sockets_of_deliveries(harness: ExecutorHarness) -> None:
    harness.executor.exit()

    assert harness.executor.state is State.STOPPING
    assert harness.end.read(harness.end.control) == [("exit",)]
    assert harness.end.read(harness.end.threads) == ["the end"]
    assert harness.end.read(harness.end.loop) == ["the end"]
    assert harness.killed == []


async def test_a_report_of_what_it_does_not_have_ends_it(harness: ExecutorHarness) -> None:
    harness.executor.send_threads([sent(1)])

    harness.end.report(("o", 1, "s", 0.1, None), ("o", 99, "s", 0.1, None), ("pong", 1))
    await auntil(lambda: harness.killed, "its end")
    harness.executor.died(Death(1, None, 9))

    assert harness.killed == [(3, 9)]
    (_, first), (_, death) = harness.told  # what it said before stands
    assert first[:2] == ("o", 1)
    assert "delivery 99" in death.text


async def test_one_that_has_lost_its_sockets_is_killed(harness: ExecutorHarness) -> None:
    harness.end.control.close()

    await auntil(lambda: harness.killed == [(3, 9)], "its end")


async def test_the_end_of_its_socket_is_told_to_who_asks_however_late(
    harness: ExecutorHarness,
) -> None:
    ended: list[str] = []
    harness.executor.when_ended(lambda: ended.append("asked before"))
    harness.end.control.close()
    await auntil(lambda: ended, "the end")
    harness.executor.when_ended(lambda: ended.append("asked after"))

    assert ended == ["asked before", "asked after"]
    assert harness.killed == []


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (("import-error", "no module"), "the app cannot be imported:\nno module"),
        (("lifespan-error", "no database"), "the lifespan failed:\nno database"),
    ],
)
async def test_why_it_never_became_ready_is_in_its_death(
    harness: ExecutorHarness, report: Message, text: str
) -> None:
    harness.end.report(report)
    await asyncio.sleep(0)
    harness.executor.died(Death(7, 1))

    [(what, death)] = harness.told
    assert (what, death.text) == ("death", text)


async def test_its_death_comes_after_all_that_it_has_said_and_only_once(
    harness: ExecutorHarness,
) -> None:
    harness.executor.send_threads([sent(1), sent(2)])
    harness.end.report(("o", 1, "s", 0.1, None))  # not read yet

    harness.executor.died(Death(7, None, 11))
    harness.executor.died(Death(7, None, 11))

    (_, outcome), (what, death) = harness.told
    assert outcome[:2] == ("o", 1)
    assert what == "death"
    assert (dict(death.unfinished), death.unstarted) == ({}, (2,))
    assert not death.expected
    assert harness.executor.state is State.DEAD
    assert not harness.executor.outstanding


@pytest.mark.parametrize(("told", "code", "expected"), [(True, 0, True), (True, 1, False)])
async def test_an_exit_with_code_0_that_was_asked_for_is_expected(
    harness: ExecutorHarness, told: bool, code: int, expected: bool
) -> None:
    harness.executor.exit()
    harness.executor.died(Death(7, code))

    assert harness.told[-1][1].expected is expected
