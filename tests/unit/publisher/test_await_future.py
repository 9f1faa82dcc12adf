from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from concurrent.futures import Future

import pytest

from rmqwork._publisher import await_future


async def test_results_and_errors_of_another_thread_arrive():
    good: Future[int] = Future()
    bad: Future[int] = Future()
    done: Future[int] = Future()
    done.set_result(3)

    def answer() -> None:
        good.set_result(1)
        bad.set_exception(ValueError("no"))

    threading.Timer(0.01, answer).start()
    got = await asyncio.gather(
        *(await_future.wait(one, 5) for one in (good, bad, done)), return_exceptions=True
    )

    assert got[0] == 1
    assert isinstance(got[1], ValueError)
    assert got[2] == 3


async def test_many_that_are_done_together_wake_the_loop_once(monkeypatch):
    loop, woken = asyncio.get_running_loop(), []
    plain = loop.call_soon_threadsafe
    monkeypatch.setattr(
        loop, "call_soon_threadsafe", lambda *call: (woken.append(call), plain(*call))
    )
    futures: list[Future[int]] = [Future() for _ in range(100)]
    waits = [asyncio.ensure_future(await_future.wait(one, 5)) for one in futures]
    await asyncio.sleep(0)

    for number, one in enumerate(futures):
        one.set_result(number)

    assert await asyncio.gather(*waits) == list(range(100))
    assert len(woken) == 1


async def test_each_has_its_own_deadline():
    late: Future[int] = Future()
    soon: Future[int] = Future()
    start = time.monotonic()
    waiting = asyncio.ensure_future(await_future.wait(late, 0.6))
    await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await await_future.wait(soon, 0.02)
    first = time.monotonic() - start
    with pytest.raises(TimeoutError):
        await waiting

    assert first < 0.59 <= time.monotonic() - start


async def test_who_gives_up_cancels_nothing_and_an_answer_after_that_harms_nobody():
    future: Future[int] = Future()
    waiting = asyncio.ensure_future(await_future.wait(future, 5))
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not future.cancelled()
    future.set_result(1)
    await asyncio.sleep(0.01)
    assert await await_future.wait(future, 5) == 1


async def test_a_future_that_is_cancelled_cancels_the_wait():
    future: Future[int] = Future()
    waiting = asyncio.ensure_future(await_future.wait(future, 5))
    await asyncio.sleep(0)

    future.cancel()
    future.set_running_or_notify_cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_loop_is_not_kept_and_an_answer_after_its_end_harms_nobody():
    future: Future[int] = Future()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(await_future.wait(future, 5))
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.close()
    future.set_result(1)
    gone = weakref.ref(loop)

    del loop, waiting, future
    gc.collect()

    assert gone() is None


async def test_no_timer_is_left_when_nobody_waits():
    future: Future[int] = Future()
    future.set_result(1)
    await await_future.wait(future, 1000)

    waits = await_future._of_loop[asyncio.get_running_loop()]
    assert waits._timer is None
    assert not waits._open
