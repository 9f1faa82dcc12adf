"""Start marks in shared memory."""

from __future__ import annotations

import os
import time

from hypothesis import given
from hypothesis import strategies as st

from rmqwork._worker.ipc.start_marks import Marks, create


def test_what_one_process_marks_another_reads_even_after_its_death():
    fd = create(3)
    ours = Marks(fd, 3)
    before = time.monotonic()

    pid = os.fork()
    if pid == 0:
        theirs = Marks(fd, 3)
        theirs.start(0, 11)
        theirs.start(1, 22)
        theirs.start(2, 2**64 - 1)
        theirs.clear(1)
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)

    marks = ours.read()
    assert set(marks) == {11, 2**64 - 1}
    assert all(before <= start <= time.monotonic() for start in marks.values())
    ours.close()
    os.close(fd)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans())))
def test_marked_is_what_was_started_and_not_cleared(steps):
    fd = create(5)
    marks = Marks(fd, 5)
    model: dict[int, int] = {}
    try:
        for number, (slot, start) in enumerate(steps, 1):
            if start:
                marks.start(slot, number)
                model[slot] = number
            else:
                marks.clear(slot)
                model.pop(slot, None)

            assert set(marks.read()) == set(model.values())
    finally:
        marks.close()
        os.close(fd)
