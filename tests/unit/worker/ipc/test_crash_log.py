"""What a process leaves in shared memory, and what becomes of it in a dead letter."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator

import pytest

from rmqwork._worker.ipc.crash_log import LOG_SIZE, SIZE, CrashLog, CrashReport, LastLines
from rmqwork._worker.ipc.start_marks import Marks, create, size

FAULT = """Fatal Python error: Segmentation fault

Thread 0x00007f0e7b8a52d0 (most recent call first):
  File "inbox.py", line 5 in _receive

Current thread 0x00007f96c7fff6c0 (most recent call first):
  File "shop.py", line 12 in resize

Thread 0x00007f0e7b8a52d1 (most recent call first):
  File "selectors.py", line 468 in select

Extension modules: pydantic_core
"""


@pytest.fixture
def memory() -> Iterator[int]:
    fd = create(2, SIZE)
    yield fd
    os.close(fd)


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("shop", logging.WARNING, __file__, 1, text, None, None)


def test_the_lines_since_a_run_began(memory: int):
    # Given a process that logs, beside its start marks
    lines, marks = LastLines(memory, size(2)), Marks(memory, 2)
    remains = CrashReport(memory, size(2))
    marks.start(1, 7)
    lines.handle(record("before"))
    began = time.monotonic()
    lines.handle(record("first\nof two"))
    lines.handle(record("last"))

    # When another one reads them
    words = remains.read()

    # Then those of the run are told, and the marks are as they were
    _, first, last = words.since(began).splitlines()
    assert first.endswith("WARNING first\\nof two")
    assert last.endswith("WARNING last")
    assert words.fault == ""
    assert set(marks.read()) == {7}
    for one in (remains, marks):
        one.close()
    lines.close_after_fork()


def test_only_the_last_lines_are_kept(memory: int):
    lines, remains = LastLines(memory, size(2)), CrashReport(memory, size(2))
    for number in range(200):
        lines.handle(record(f"{number} " + "x" * 5000))

    kept = remains.read().lines

    assert 10 < len(kept) <= 40
    assert " 199 x" in kept[-1][1]
    assert sum(len(line) for _, line in kept) < LOG_SIZE
    remains.close()
    lines.close_after_fork()


def test_a_child_leaves_no_words(memory: int):
    lines, remains = LastLines(memory, size(2)), CrashReport(memory, size(2))
    lines.close_after_fork()
    lines.handle(record("of a child"))

    assert remains.read() == CrashLog()
    remains.close()


def test_of_a_crash_the_thread_that_crashed_is_told(memory: int):
    os.pwrite(memory, FAULT.encode(), size(2) + LOG_SIZE)
    remains = CrashReport(memory, size(2))

    told = remains.read().since(0)

    assert told.splitlines()[0] == "Fatal Python error: Segmentation fault"
    assert told.endswith("line 12 in resize")
    assert "_receive" not in told
    remains.close()
