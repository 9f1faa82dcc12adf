"""An executor's runtime over real sockets, without a process of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rmqwork import App
from rmqwork._executor.runtime import EXIT_LIFESPAN_ERROR, Assignment, ExecutorRuntime
from rmqwork._worker.ipc.reports import ReportUnpacker
from rmqwork._worker.ipc.start_marks import create
from rmqwork._worker.ipc.wire import READ_SIZE, Message, pack

DEADLINE = 10.0


class RuntimeHarness:
    """The worker's ends of a runtime that runs in a thread."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.broken = threading.Event()
        self.exit_code: int | None = None
        pairs = [socket.socketpair() for _ in range(3)]
        self.control, self.by_threads, self.by_loop = (ours for ours, _ in pairs)
        self.control.settimeout(DEADLINE)
        fds = (*(theirs.detach() for _, theirs in pairs), create(2))
        self._assignment = Assignment(1, 1, fds, "asyncio")
        self._messages: list[Message] = []
        self._unpacker = ReportUnpacker()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        loop = asyncio.new_event_loop()
        runtime = ExecutorRuntime(self._assignment, loop, on_broken_socket=self.broken.set)
        os.close(self._assignment.fds[3])
        runtime.listen()
        self.exit_code = runtime.run(self.app)
        runtime.cancel_left()
        runtime.close(DEADLINE)
        loop.close()

    def message(self, kind: str) -> Message:
        """Return the next message of a kind; fails after the deadline."""
        while True:
            for message in self._messages:
                if message[0] == kind:
                    self._messages.remove(message)
                    return message
            data = self.control.recv(READ_SIZE)
            assert data, f"the runtime ended before it sent {kind!r}"
            self._messages += self._unpacker.feed(data)

    def end(self) -> None:
        """Say that no more deliveries come."""
        self.by_threads.shutdown(socket.SHUT_WR)
        self.by_loop.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close all ends of the worker."""
        for sock in (self.control, self.by_threads, self.by_loop):
            sock.close()

    def joined(self) -> int | None:
        """Return the exit code when the runtime has ended."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        return self.exit_code


@contextmanager
def running(app: App) -> Iterator[RuntimeHarness]:
    harness = RuntimeHarness(app)
    try:
        yield harness
    finally:
        harness.close()
        harness.joined()


@pytest.fixture
def app() -> App:
    return App("shop", broker="memory://", queues=["q"], default_queue="q")


def delivery(number: int, task: str, body: bytes = b"{}") -> Message:
    return ("d", number, "q", task, body, 1, False, f"id-{number}", None, "application/json", None)


def test_it_runs_tasks_of_both_kinds_and_ends_when_no_more_come(app: App) -> None:
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    async def double(x: int) -> int:
        return x + x

    with running(app) as harness:
        harness.message("ready")
        harness.by_threads.sendall(pack([delivery(1, "shop.add", b'{"x":1,"y":2}')]))
        harness.by_loop.sendall(pack([delivery(2, "shop.double", b'{"x":4}')]))
        outcomes = {message[1]: message[2] for message in (harness.message("o") for _ in "ab")}
        harness.end()
        harness.control.shutdown(socket.SHUT_WR)

        assert outcomes == {1: "s", 2: "s"}
        assert harness.joined() == 0
        assert not harness.broken.is_set()


def test_a_thread_that_runs_is_waited_for_however_often_the_loop_sees_its_end(app: App) -> None:
    started, left, left_early = threading.Event(), threading.Event(), list[bool]()

    @app.lifespan
    @contextmanager
    def database() -> Iterator[None]:
        yield
        left.set()

    @app.task
    def work() -> None:
        started.set()
        left_early.append(left.wait(0.5))

    with running(app) as harness:
        # Given a task that runs in the only thread
        harness.message("ready")
        harness.by_threads.sendall(pack([delivery(1, "shop.work")]))
        assert started.wait(DEADLINE)

        # When the executor is to leave, and reads the end of the loop's socket, then the threads'
        harness.control.sendall(pack([("exit",)]))
        for ended in (harness.by_loop, harness.by_threads):
            ended.shutdown(socket.SHUT_WR)
            for number in range(2):
                harness.control.sendall(pack([("ping", number)]))
                harness.message("pong")

        # Then it leaves after the task
        assert harness.message("o")[1:3] == (1, "s")
        assert left_early == [False]
        harness.control.shutdown(socket.SHUT_WR)
        assert harness.joined() == 0


def test_a_lifespan_that_fails_is_told(app: App) -> None:
    @app.lifespan
    @contextmanager
    def database() -> Iterator[None]:
        raise RuntimeError("no database")
        yield

    with running(app) as harness:
        assert "no database" in harness.message("lifespan-error")[1]
        harness.control.shutdown(socket.SHUT_WR)
        assert harness.joined() == EXIT_LIFESPAN_ERROR


def test_without_its_worker_it_cancels_coroutines_and_waits_for_no_thread(app: App) -> None:
    started, let_go, cancelled = threading.Semaphore(0), threading.Event(), threading.Event()

    @app.task
    def hang() -> None:
        started.release()
        let_go.wait(DEADLINE)

    @app.task
    async def wait() -> None:
        started.release()
        try:
            await asyncio.sleep(2 * DEADLINE)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with running(app) as harness:
        harness.message("ready")
        harness.by_threads.sendall(pack([delivery(1, "shop.hang")]))
        harness.by_loop.sendall(pack([delivery(2, "shop.wait")]))
        assert started.acquire(timeout=DEADLINE)
        assert started.acquire(timeout=DEADLINE)
        harness.close()

        assert harness.joined() == 0
        assert cancelled.is_set()
        let_go.set()
        assert harness.broken.wait(DEADLINE)  # the thread's outcome reaches nobody
