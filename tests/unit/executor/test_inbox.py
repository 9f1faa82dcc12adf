"""Deliveries on their way to threads, and back."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest

from rmqwork._executor.inbox import Inbox
from rmqwork._worker.ipc.wire import pack


class Box:
    """An inbox with both ends, and what it gave back."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.back: list[int] = []
        self.inbox = Inbox(self.theirs, self.back.extend, on_broken=lambda: None)

    def send(self, *numbers: int) -> None:
        self.ours.sendall(pack([("d", number) for number in numbers]))


@pytest.fixture
def box():
    box = Box()
    yield box
    box.ours.close()
    box.theirs.close()


def test_deliveries_come_in_order_and_end_with_the_socket(box):
    box.send(1, 2)
    box.send(3)
    box.ours.shutdown(socket.SHUT_WR)

    taken = [box.inbox.take() for _ in range(4)]

    assert taken == [("d", 1), ("d", 2), ("d", 3), None]


def test_closing_gives_back_what_has_come_and_what_still_comes(box):
    box.send(1, 2, 3)
    assert box.inbox.take() == ("d", 1)

    assert box.inbox.close()  # no thread reads: the caller has to
    assert box.back == [2, 3]
    box.send(4, 5)
    box.inbox.drain()
    assert box.back == [2, 3, 4, 5]
    box.ours.shutdown(socket.SHUT_WR)
    box.inbox.drain()

    assert box.inbox.ended
    assert box.inbox.take() is None


def test_a_thread_that_waits_for_deliveries_goes_on_giving_back(box):
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(box.inbox.take()))
    thread.start()
    deadline = time.monotonic() + 5
    while not box.inbox._lead.locked():
        assert time.monotonic() < deadline

    assert not box.inbox.close()
    box.send(1, 2)
    box.ours.shutdown(socket.SHUT_WR)
    thread.join(5)

    assert taken == [None]
    assert sorted(box.back) == [1, 2]


def test_a_thread_that_is_about_to_leave_the_lead_when_it_closes_reads_on(box):
    class Lead:
        """A lock in whose last moment the inbox is closed."""

        lock = threading.Lock()

        def acquire(self, blocking: bool = True) -> bool:
            return self.lock.acquire(blocking)

        def __enter__(self) -> None:
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            if not box.inbox._closed:
                assert not box.inbox.close()  # the lead is taken: it relies on the thread
            self.lock.release()

    box.inbox._lead = Lead()
    box.send(1, 2)
    box.ours.shutdown(socket.SHUT_WR)

    assert box.inbox.take() is None
    assert sorted(box.back) == [1, 2]


def test_chosen_deliveries_are_withdrawn_also_before_they_come(box):
    box.send(1, 2, 3)
    assert box.inbox.take() == ("d", 1)

    box.inbox.withdraw([1, 3, 5])
    box.send(4, 5, 6)

    assert [box.inbox.take() for _ in range(3)] == [("d", 2), ("d", 4), ("d", 6)]
    assert box.back == [3, 5]


@pytest.mark.parametrize("seed", range(10))
def test_each_delivery_is_taken_or_given_back_once_whenever_it_closes(box, seed):
    taken: list[int] = []

    def work() -> None:
        while (message := box.inbox.take()) is not None:
            taken.append(message[1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    chance = random.Random(seed)
    close_at, count, draining = chance.randrange(50), 0, False
    for step in range(50):
        size = chance.randrange(1, 40)
        box.send(*range(count + 1, count + size + 1))
        count += size
        if step == close_at:
            draining = box.inbox.close()
    box.ours.shutdown(socket.SHUT_WR)
    while draining and not box.inbox.ended:
        box.inbox.drain()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()

    assert sorted(taken + box.back) == list(range(1, count + 1))
