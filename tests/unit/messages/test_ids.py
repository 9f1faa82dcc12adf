from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from rmqwork._messages import ids
from rmqwork._messages.ids import uuid7


def test_it_is_a_uuid_of_version_7_with_the_time_in_front():
    before = time.time_ns() // 1_000_000

    made = uuid.UUID(uuid7())

    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= after + 1


def test_ids_of_many_threads_are_unique_and_those_of_one_ascend():
    def make(_: int) -> list[str]:
        return [uuid7() for _ in range(2000)]

    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(make, range(4)))

    assert all(batch == sorted(batch) for batch in batches)
    assert len({one for batch in batches for one in batch}) == 8000


def test_a_clock_that_is_set_back_does_not_bring_ids_back(monkeypatch):
    first = uuid7()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1)

    second = uuid7()

    assert second > first


def test_a_forked_child_makes_other_ids_though_its_parent_held_the_lock():
    reader, writer = os.pipe()
    with ids._clock.lock:
        pid = os.fork()
        if pid == 0:
            os.write(writer, "\n".join(uuid7() for _ in range(100)).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        theirs = set(file.read().split())
    os.waitpid(pid, 0)

    assert len(theirs) == 100
    assert not theirs & {uuid7() for _ in range(100)}


def test_an_id_may_be_made_while_this_thread_makes_one(monkeypatch: pytest.MonkeyPatch):
    """A signal handler or ``__del__`` that publishes may interrupt at any line."""
    inner: list[str] = []
    tail, left = ids._Clock._tail, [1, 2, 3]

    def interrupted(clock: ids._Clock) -> str:
        if left:
            left.pop()
            inner.append(ids.uuid7())
        return tail(clock)

    monkeypatch.setattr(ids._Clock, "_tail", interrupted)
    made = ids.uuid7()

    assert len({made, *inner}) == 4
    assert ids.uuid7() > made
