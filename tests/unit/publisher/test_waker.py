"""The waker that wakes the publisher's loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable

import pytest

from rmqwork._publisher.waker import LoopWaker
from tests.unit.fakes import turns
from tests.waiting import auntil


def listening(answer: Callable[[], None]) -> LoopWaker:
    waker = LoopWaker(answer)
    waker.listen(asyncio.get_running_loop())
    return waker


async def test_many_rings_are_one_call():
    calls: list[str] = []
    waker = listening(lambda: calls.append(threading.current_thread().name))

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

    waker = listening(answer)
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

    waker = listening(answer)

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
    waker = listening(lambda: pytest.fail("it was closed"))
    waker.close()

    waker.ring()
    await asyncio.sleep(0.01)

    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_ring_before_it_listens_is_heard():
    calls: list[int] = []
    waker = LoopWaker(lambda: calls.append(1))
    waker.ring()

    waker.listen(asyncio.get_running_loop())

    await auntil(lambda: calls == [1])
    waker.close()


async def test_a_ring_that_was_begun_and_interrupted_is_made_up_for():
    """Given a thread that was about to wake the loop, and is stopped by who waits for that."""
    calls: list[int] = []
    waker = listening(lambda: calls.append(1))
    waker._rings = True

    waker.ring()
    await turns()
    assert calls == []
    waker.ring_anyhow()

    await auntil(lambda: calls == [1])
    waker.ring()
    await auntil(lambda: calls == [1, 1])
    waker.close()
