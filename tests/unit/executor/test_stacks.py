"""Where a running task stands: the user's frames, and none of ours before them."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

from rmqwork import App
from rmqwork._executor.stacks import coroutine_stack, thread_stack


def files_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("  File ")]


def test_the_stack_of_a_thread_begins_in_the_task(app: App, delivery):
    running, release = threading.Event(), threading.Event()

    @app.task(name="app.wait")
    def wait() -> None:
        running.set()
        assert release.wait(10)

    runner = app.runner(None)
    thread = threading.Thread(
        target=runner.run, args=(runner.prepare(delivery("app.wait", b"{}")),)
    )
    thread.start()
    assert running.wait(10)
    text = thread_stack(thread.ident)
    release.set()
    thread.join()

    first, *_ = files_in(text)
    assert __file__ in first
    assert "assert release.wait(10)" in text


async def test_the_stack_of_a_coroutine_begins_in_the_task(app: App, delivery):
    @app.task(name="app.wait")
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    runner = app.runner(None)
    prepared = runner.prepare(delivery("app.wait", b"{}"))
    task = asyncio.ensure_future(runner.arun(prepared, lambda: True))
    await asyncio.sleep(0)
    text = coroutine_stack(task, None)
    task.cancel()

    first, *_ = files_in(text)
    assert __file__ in first
    assert "create_future()" in text
    assert await task is None


def test_a_stack_without_a_users_frame_is_whole():
    idle = threading.Timer(60, lambda: None)  # all its frames are those of `threading`
    idle.daemon = True
    idle.start()
    deadline = time.monotonic() + 10
    while sys._current_frames()[idle.ident or 0].f_code.co_name != "wait":
        assert time.monotonic() < deadline
        time.sleep(0.001)

    text = thread_stack(idle.ident)
    idle.cancel()

    assert "_bootstrap" in files_in(text)[0]
