"""Publishing from a task through the pipe."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time

import pytest

from rmqwork._executor.control_writer import ControlWriter
from rmqwork._executor.pipe_publisher import ANSWER_TIMEOUT, PipePublisher
from rmqwork._executor.process import EXIT_WORKER_GONE
from rmqwork._worker.ipc.reports import ReportUnpacker
from rmqwork._worker.ipc.wire import READ_SIZE, publication_of, published_message
from rmqwork.errors import ConfigurationError, PublishError, PublishTimeout, Unroutable
from rmqwork.types import Publication


def _leave() -> None:
    os._exit(EXIT_WORKER_GONE)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    yield ours, ControlWriter(theirs, _leave)
    ours.close()
    theirs.close()


def publication(task_id: str) -> Publication:
    return Publication("x", "k", b"{}", task_id)


def requests(sock: socket.socket, count: int) -> list[tuple]:
    unpacker, messages = ReportUnpacker(), []
    while len(messages) < count:
        messages += unpacker.feed(sock.recv(READ_SIZE))
    return messages


def test_a_publish_returns_on_the_workers_confirm(ends):
    sock, writer = ends
    publisher = PipePublisher(writer)

    future = publisher.submit([publication("a"), publication("b")], 30.0)
    ((kind, number, values, timeout),) = requests(sock, 1)

    assert kind == "publish"
    assert 29 < timeout <= 30
    assert [publication_of(value).message_id for value in values] == ["a", "b"]
    assert not future.done()
    assert publisher.close(0.0) == 2

    publisher.published(*published_message(number, [None, Unroutable("no queue")])[1:])

    confirmed, returned = future.result(0)
    assert confirmed is None
    assert isinstance(returned, Unroutable)
    assert returned.task_id == "b"
    assert publisher.close(0.0) == 0


def test_many_threads_and_an_event_loop_get_their_own_answers(ends):
    sock, writer = ends
    publisher = PipePublisher(writer)
    results: dict[str, str] = {}

    def publish(name: str) -> None:
        (error,) = publisher.submit([publication(name)], 30.0).result(5)
        results[name] = str(error)

    def answer() -> None:
        for _, number, values, _ in requests(sock, 9):
            name = publication_of(values[0]).message_id
            publisher.published(*published_message(number, [PublishError(name)])[1:])

    async def apublish() -> None:
        (error,) = await asyncio.wrap_future(publisher.submit([publication("loop")], 30.0))
        results["loop"] = str(error)

    threads = [threading.Thread(target=publish, args=(f"t{n}",)) for n in range(8)]
    threads.append(threading.Thread(target=answer))
    for thread in threads:
        thread.start()
    asyncio.run(apublish())
    for thread in threads:
        thread.join(5)

    assert results == {name: name for name in results}
    assert len(results) == 9


def test_a_configuration_error_is_raised_by_the_future(ends):
    sock, writer = ends
    publisher = PipePublisher(writer)
    future = publisher.submit([publication("a")], 1.0)
    ((_, number, _, _),) = requests(sock, 1)

    publisher.published(*published_message(number, ConfigurationError("no exchange"))[1:])

    with pytest.raises(ConfigurationError, match="no exchange"):
        future.result(0)


def test_without_an_answer_it_ends_soon_after_its_timeout_and_a_late_answer_is_ignored(ends):
    sock, writer = ends
    publisher = PipePublisher(writer)
    future = publisher.submit([publication("a")], 1.0)
    ((_, number, _, _),) = requests(sock, 1)

    publisher.expire(time.monotonic() + 1.0)
    assert not future.done()
    publisher.expire(time.monotonic() + 1.0 + ANSWER_TIMEOUT)
    publisher.published(number, [None])

    (error,) = future.result(0)
    assert isinstance(error, PublishTimeout)
    assert error.may_have_arrived


def test_when_the_worker_is_gone_pending_and_new_publishes_fail(ends):
    _, writer = ends
    publisher = PipePublisher(writer)
    pending = publisher.submit([publication("a")], 30.0)

    publisher.abandon("the worker process is gone")

    (error,) = pending.result(0)
    assert isinstance(error, PublishError)
    assert error.may_have_arrived
    (error,) = publisher.submit([publication("b")], 30.0).result(0)
    assert isinstance(error, PublishError)
    assert not error.may_have_arrived
    assert error.task_id == "b"


def test_in_a_process_that_a_task_forks_it_says_so():
    ours, theirs = socket.socketpair()
    writer = ControlWriter(theirs, _leave)
    publisher = PipePublisher(writer)

    writer.close_after_fork()

    with pytest.raises(PublishError, match="forked by a task"):
        publisher.submit([publication("a")], 30.0)
    assert ours.recv(1) == b""
    ours.close()


def test_the_outlet_ends_the_process_when_the_worker_is_gone():
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        ControlWriter(theirs, _leave).send([("x",)] * 100_000)
        ControlWriter(theirs, _leave).send([("x",)])
        os._exit(1)
    theirs.close()
    ours.close()

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 71
