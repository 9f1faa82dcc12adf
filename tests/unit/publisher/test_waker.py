"""The waker that wakes the publisher's loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque

import pytest

from rmqwork._publisher.waker import LoopWaker
from tests.unit.fakes import turns
from tests.waiting import auntil


async def test_many_rings_are_one_call():
    calls: list[str] = []
    waker = LoopWaker(
        asyncio.get_running_loop(), lambda: calls.append(threading.current_thread().name)
    )

    for _ in range(1000):
        waker.ring()
    await auntil(lambda: bool(calls))
    await turns()  # in each the loop looks at its sockets: another ring would be heard
    waker.close()

    assert calls == [threading.current_thread().name]


async def test_a_ring_during_the_answer_is_heard():
    calls: list[int] = []

    def answer() -> None:
        calls.append(1)
        if len(calls) < 3:
            waker.ring()

    waker = LoopWaker(asyncio.get_running_loop(), answer)
    waker.ring()

    await auntil(lambda: len(calls) == 3)
    waker.close()


async def test_nothing_that_threads_put_in_is_left_behind():
    """Given threads that put and ring, then all is taken without another ring."""
    inbox: deque[int] = deque()
    taken: list[int] = []

    def answer() -> None:
        while inbox:
            taken.append(inbox.popleft())

    waker = LoopWaker(asyncio.get_running_loop(), answer)

    def put() -> None:
        for number in range(2000):
            inbox.append(number)
            waker.ring()

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    await auntil(lambda: len(taken) == 8000, "all to be taken", 30)
    for thread in threads:
        thread.join()
    waker.close()


async def test_a_closed_bell_is_silent_and_leaves_no_descriptor():
    before = len(os.listdir("/proc/self/fd"))
    waker = LoopWaker(asyncio.get_running_loop(), lambda: pytest.fail("it was closed"))
    waker.close()

    waker.ring()
    await asyncio.sleep(0.01)

    assert len(os.listdir("/proc/self/fd")) == before
