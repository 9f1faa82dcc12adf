"""Messages over a socket that never blocks the loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rmqwork._worker.ipc.wire import Message, Unpacker
from rmqwork._worker.processes.pipe import Pipe
from tests.unit.fakes import turns
from tests.waiting import auntil


class PipesHarness:
    """Two pipes, and what has come out of each."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.ended: list[str] = []
        one, other = socket.socketpair()
        self.near = Pipe(one, ended=lambda: self.ended.append("near"))
        self.far = Pipe(other, self.got.extend, lambda: self.ended.append("far"))

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
async def pipes() -> AsyncIterator[PipesHarness]:
    pipes = PipesHarness()
    yield pipes
    pipes.close()


async def test_messages_arrive_in_their_order(pipes: PipesHarness) -> None:
    for number in range(100):
        pipes.near.send([("a", number), ("b", number)])

    await auntil(lambda: len(pipes.got) == 200)

    assert pipes.got == [(kind, number) for number in range(100) for kind in "ab"]
    assert pipes.near.backlog == 0


async def test_what_the_socket_does_not_take_waits_and_what_comes_after_it_stays_behind(
    pipes: PipesHarness,
) -> None:
    large = ("large", bytes(5_000_000))
    pipes.near.send([large])
    pipes.near.send([("after", 1)])
    assert pipes.near.backlog > 1_000_000

    await auntil(lambda: len(pipes.got) == 2)

    assert pipes.got == [large, ("after", 1)]
    assert pipes.near.backlog == 0


async def test_an_end_is_seen_after_all_that_was_sent(pipes: PipesHarness) -> None:
    pipes.near.send([("large", bytes(5_000_000))])
    pipes.near.end()
    pipes.near.send([("too late",)])

    await auntil(lambda: pipes.ended == ["far"])

    assert [message[0] for message in pipes.got] == ["large"]


async def test_to_send_to_one_who_is_gone_does_nothing(pipes: PipesHarness) -> None:
    pipes.far.close()
    for _ in range(3):
        pipes.near.send([("a", bytes(5_000_000))])
        await turns()

    assert pipes.near.backlog == 0


async def test_who_closes_hears_of_no_end(pipes: PipesHarness) -> None:
    pipes.far.close()
    pipes.far.close()
    pipes.near.close()
    await turns()

    assert pipes.ended == []


async def test_all_that_a_dead_peer_left_is_read_at_once(pipes: PipesHarness) -> None:
    pipes.near.send([("last", n) for n in range(3)])
    pipes.near.close()

    pipes.far.drain()

    assert pipes.got == [("last", n) for n in range(3)]
    assert pipes.ended == ["far"]


async def test_a_fault_of_the_receiver_is_reported_and_the_rest_is_read() -> None:
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what))
    got: list[Message] = []

    def receive(messages: list[Message]) -> None:
        got.extend(messages)
        if len(got) == 1:
            raise ValueError("no")

    one, other = socket.socketpair()
    near, far = Pipe(one), Pipe(other, receive)
    near.send([("a",)])
    await auntil(lambda: bool(reported))
    near.send([("b",)])
    await auntil(lambda: len(got) == 2)
    near.close()
    far.close()

    assert [str(one["exception"]) for one in reported] == ["no"]


async def test_descriptors_travel_and_are_closed_here_whether_they_are_sent_or_not() -> None:
    one, other = socket.socketpair()
    near = Pipe(one)
    first, second = os.pipe()
    near.send([("fds",)], [first, second])
    data, fds, _, _ = socket.recv_fds(other, 65536, 2)

    assert Unpacker().feed(data) == [("fds",)]
    os.write(fds[1], b"x")
    assert os.read(fds[0], 1) == b"x"
    for fd in fds:
        os.close(fd)
    assert not [fd for fd in (first, second) if _is_open(fd)]

    near.close()
    unsent = os.pipe()
    near.send([("too late",)], unsent)
    assert not [fd for fd in unsent if _is_open(fd)]
    other.close()


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
