"""Running an event loop that a task cannot end, in this thread or in one of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


class LoopRunner:
    """Keeps an event loop going: `SystemExit` and `KeyboardInterrupt` of a child task or of a
    callback leave `asyncio`'s ``run_forever``, and so does ``loop.stop()``; what waits in the loop
    is kept, and goes on.

    Args:
        loop: the event loop.
        on_exit: called in the loop's thread, with what has left the loop so.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_exit: Callable[[BaseException], object]
    ) -> None:
        self._loop = loop
        self._on_exit = on_exit
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self.thread_id = threading.get_ident()
        """Of the thread that runs the loop."""

    def start_thread(self) -> None:
        """Run the loop in a thread of its own from now on, until `stop`."""
        thread = self._thread = threading.Thread(
            target=self._serve, name="rmqwork-loop", daemon=True
        )
        thread.start()
        assert thread.ident is not None
        self.thread_id = thread.ident

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine in the loop and return what it returns; not from the loop's thread."""
        if self._thread is not None:
            return self.submit(coroutine).result()
        task = self._loop.create_task(coroutine)
        task.add_done_callback(lambda _: self._loop.stop())
        self._drive(task.done)
        return task.result()

    def submit(self, coroutine: Coroutine[Any, Any, R]) -> Future[R]:
        """Start a coroutine in the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self) -> None:
        """End the thread of the loop, if it has one; `run` goes on in the calling thread."""
        if (thread := self._thread) is not None:
            self._stopped.set()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._thread = None

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._drive(self._stopped.is_set)

    def _drive(self, done: Callable[[], bool]) -> None:
        while not done():
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                if not done():
                    self._on_exit(error)
