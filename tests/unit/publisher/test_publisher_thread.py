"""One I/O thread a process, whoever publishes."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from rmqwork._publisher import publisher_thread as module
from rmqwork._publisher.publisher_thread import ThreadedPublisher
from rmqwork._topology.topology import Queue, app_declarations
from rmqwork.errors import BrokerUnavailable, PublishError
from rmqwork.types import Verdict
from tests.unit.fakes import FakeConnector, publication

PLAN = app_declarations([Queue("q")])
ROOT = Path(__file__).parents[3]


@pytest.fixture
def connector() -> FakeConnector:
    return FakeConnector()


@pytest.fixture
def publisher(connector: FakeConnector) -> Iterator[ThreadedPublisher]:
    publisher = ThreadedPublisher(connector, PLAN, "test")
    yield publisher
    publisher.close(0)


def io_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "rmqwork-publisher"]


def holds(condition: Callable[[], bool], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_thread_and_connection_begin_with_the_first_publication(
    publisher: ThreadedPublisher, connector: FakeConnector
):
    before = len(io_threads())
    assert connector.attempts == 0

    assert publisher.submit([publication()], 5).result(5) == [None]
    assert publisher.submit([publication()], 5).result(5) == [None]

    assert len(io_threads()) == before + 1
    assert connector.attempts == 1


def test_many_threads_and_a_loop_share_one_connection(
    publisher: ThreadedPublisher, connector: FakeConnector
):
    def publish(number: int) -> list[PublishError | None]:
        results: list[PublishError | None] = []
        for _ in range(number):
            results += publisher.submit([publication()], 10).result(10)
        return results

    async def publish_async(number: int) -> list[PublishError | None]:
        futures = [publisher.submit([publication()], 10) for _ in range(number)]
        answers = await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))
        return [error for answer in answers for error in answer]

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(publish, 50) for _ in range(8)]
        mine = asyncio.run(publish_async(100))
        theirs = [error for future in waiting for error in future.result(10)]

    assert mine + theirs == [None] * 500
    assert len(connector.channel.sent) == 500
    assert len({p.message_id for p in connector.channel.sent}) == 500
    assert connector.attempts == 1


def test_the_order_of_a_thread_is_kept(publisher: ThreadedPublisher, connector: FakeConnector):
    sent = [publication() for _ in range(100)]

    for future in [publisher.submit([one], 5) for one in sent]:
        assert future.result(5) == [None]

    assert connector.channel.sent == sent


def test_threads_that_begin_together_start_one_thread(connector: FakeConnector):
    publisher = ThreadedPublisher(connector, PLAN, "test")
    barrier, before = threading.Barrier(10), len(io_threads())

    def first() -> Future[list[PublishError | None]]:
        barrier.wait()
        return publisher.submit([publication()], 5)

    with ThreadPoolExecutor(10) as pool:
        futures = [f.result(5) for f in [pool.submit(first) for _ in range(10)]]

    assert [future.result(5) for future in futures] == [[None]] * 10
    assert len(io_threads()) == before + 1
    assert publisher.close(5) == 0


def test_close_waits_for_confirms_and_ends_the_thread(connector: FakeConnector):
    publisher, before = ThreadedPublisher(connector, PLAN, "test"), len(io_threads())
    futures = [publisher.submit([publication()], 5) for _ in range(50)]

    assert publisher.close(5) == 0

    assert [future.result(0) for future in futures] == [[None]] * 50
    assert len(io_threads()) == before
    assert not connector.link.is_open
    assert publisher.close(5) == 0  # again: nothing


def test_close_counts_what_is_not_confirmed(connector: FakeConnector):
    connector.answer = None
    publisher = ThreadedPublisher(connector, PLAN, "test")
    future = publisher.submit([publication(), publication()], 60)
    holds(lambda: bool(connector.links and connector.link.channels and connector.channel.sent))

    assert publisher.close(0.05) == 2

    assert all(isinstance(error, PublishError) for error in future.result(0))


def test_close_without_a_publication_starts_nothing(connector: FakeConnector):
    before = len(io_threads())

    assert ThreadedPublisher(connector, PLAN, "test").close(1) == 0

    assert (connector.attempts, len(io_threads())) == (0, before)


def test_after_close_a_publication_is_refused(connector: FakeConnector):
    publisher = ThreadedPublisher(connector, PLAN, "test")
    publisher.close(1)

    future = publisher.submit([publication()], 5)

    with pytest.raises(BrokerUnavailable, match="closed"):
        future.result(0)
    assert connector.attempts == 0


def test_a_forked_child_has_a_connection_of_its_own(
    publisher: ThreadedPublisher, connector: FakeConnector
):
    """Given an open connection, when a child publishes, then the parent's is not touched."""
    publisher.submit([publication()], 5).result(5)
    link = connector.link
    reader, writer = os.pipe()

    child = os.fork()
    if child == 0:
        said = "?"
        try:
            released = link.released
            answer = publisher.submit([publication()], 5).result(5)
            said = f"{released} {answer} {len(connector.links)} {publisher.close(1)}"
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "True [None] 2 0"
    os.waitpid(child, 0)

    assert not link.released
    assert publisher.submit([publication()], 5).result(5) == [None]
    assert connector.links == [link]


def test_a_fork_while_another_thread_publishes_does_not_hang(connector: FakeConnector):
    publisher = ThreadedPublisher(connector, PLAN, "test")
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            publisher.submit([publication()], 5).result(5)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            process = multiprocessing.get_context("fork").Process(
                target=lambda: os._exit(
                    0 if publisher.submit([publication()], 5).result(5) == [None] else 1
                )
            )
            process.start()
            process.join(10)
            assert process.exitcode == 0
    finally:
        stop.set()
        thread.join(5)
        publisher.close(5)


def test_one_that_is_dropped_is_forgotten(connector: FakeConnector):
    gc.collect()  # those of other tests
    before = len(module._live)
    ThreadedPublisher(connector, PLAN, "test")
    gc.collect()

    assert len(module._live) == before


# atexit calls in the reverse order, so what is registered before the import is called after it
EXITING = """
import atexit, logging, sys
futures = []
def tell():
    print("confirmed", sum(f.done() and f.result() == [None] for f in futures))
atexit.register(tell)
sys.path.insert(0, {root!r})
logging.basicConfig(format="%(message)s")
from rmqwork._publisher import publisher_thread
from rmqwork._publisher.publisher_thread import ThreadedPublisher
from rmqwork.types import Verdict
from tests.unit.fakes import FakeConnector, publication
publisher_thread._EXIT_TIMEOUT = {patience}
connector = FakeConnector({answer})
publisher = ThreadedPublisher(connector, [], "test")
futures += [publisher.submit([publication()], 60) for _ in range(20)]
"""


@pytest.mark.parametrize(
    ("answer", "confirmed", "said"),
    [("Verdict.CONFIRMED", 20, ""), ("None", 0, "20 publications could not be confirmed")],
)
def test_an_interpreter_that_exits_flushes_or_says_what_it_could_not(
    answer: str, confirmed: int, said: str
):
    patience = 0.3 if answer == "None" else 20
    script = EXITING.format(root=str(ROOT), answer=answer, patience=patience)

    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["confirmed", str(confirmed)]
    assert (said in ended.stderr) if said else (ended.stderr == "")


def test_verdicts_reach_the_caller(publisher: ThreadedPublisher, connector: FakeConnector):
    connector.answer = Verdict.NACKED

    [error] = publisher.submit([publication()], 5).result(5)

    assert isinstance(error, PublishError)


# ── where no thread can be waited for ─────────────────────────────────────────────────────────


def refused_start(*_: object, **__: object) -> None:
    raise RuntimeError("can't create new thread at interpreter shutdown")


def test_where_no_thread_can_be_started_each_call_has_a_connection(
    connector: FakeConnector, monkeypatch: pytest.MonkeyPatch
):
    publisher, before = ThreadedPublisher(connector, PLAN, "test"), descriptors()
    monkeypatch.setattr(threading.Thread, "start", refused_start)

    for _ in range(2):
        assert publisher.submit([publication()], 5).result(0) == [None]

    assert [link.is_open for link in connector.links] == [False, False]
    assert publisher.close(1) == 0
    assert descriptors() == before


def test_after_the_exit_hook_each_call_has_a_connection(
    publisher: ThreadedPublisher, connector: FakeConnector
):
    publisher.submit([publication()], 5).result(5)

    assert publisher.flush(5) == 0

    assert not connector.link.is_open
    assert publisher.submit([publication()], 5).result(0) == [None]
    assert [link.is_open for link in connector.links] == [False, False]


def test_the_io_thread_itself_can_publish(publisher: ThreadedPublisher, connector: FakeConnector):
    """A finaliser that publishes is called in any thread."""
    publisher.submit([publication()], 5).result(5)
    answer: Future[list[PublishError | None]] = Future()
    loop = publisher._begun[0]._loop
    assert loop is not None

    loop.call_soon_threadsafe(
        lambda: answer.set_result(publisher.submit([publication()], 5).result(0))
    )

    assert answer.result(10) == [None]
    assert len(connector.links) == 2


@pytest.mark.parametrize("claimed", [False, True])
def test_what_interrupts_the_start_of_the_thread_publishes(
    connector: FakeConnector, monkeypatch: pytest.MonkeyPatch, claimed: bool
):
    """Given a signal handler that publishes, then it does not wait for what it has interrupted."""
    publisher = ThreadedPublisher(connector, PLAN, "test")
    inner: list[list[PublishError | None]] = []

    def interrupt() -> None:
        if not inner:
            inner.append([])
            inner[0] = publisher.submit([publication()], 5).result(3)

    start, init = threading.Thread.start, module._IoThread.__init__

    def interrupted_start(thread: threading.Thread) -> None:
        if thread.name == "rmqwork-publisher":
            interrupt()
        start(thread)

    def interrupted_init(io: module._IoThread, owner: ThreadedPublisher) -> None:
        init(io, owner)
        interrupt()

    if claimed:
        monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    else:
        monkeypatch.setattr(module._IoThread, "__init__", interrupted_init)
    before = len(io_threads())

    assert publisher.submit([publication()], 5).result(5) == [None]

    assert inner == [[None]]
    assert len(io_threads()) == before + 1
    assert publisher.close(5) == 0


def test_a_hook_of_the_application_in_a_forked_child_may_publish_before_ours(
    publisher: ThreadedPublisher, connector: FakeConnector
):
    child = os.fork()
    if child == 0:
        made = ThreadedPublisher(connector, PLAN, "test")
        fine = made.submit([publication()], 5).result(5) == [None]
        module._forked()  # as after such a hook
        fine = fine and made._io is not None and not connector.link.released
        os._exit(0 if fine else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
