"""The order in which a run is marked, run, reported and unmarked."""

from __future__ import annotations

import threading
from contextvars import Context

from rmqwork._executor.inbox import Inbox
from rmqwork._executor.threads import TaskThreads
from tests.unit.executor.marked_runs import ONE_AFTER_THE_OTHER, MarksHarness


def test_a_thread_marks_before_user_code_and_unmarks_after_the_report(ends):
    stage, ended = MarksHarness(), threading.Event()
    inbox = Inbox(ends, lambda numbers: None, on_broken=lambda: None)

    TaskThreads(
        1,
        runner=stage,
        context=Context(),
        inbox=inbox,
        writer=stage,
        marks=stage.marks,
        ended=ended.set,
    ).start()

    assert ended.wait(5)
    assert stage.seen == ONE_AFTER_THE_OTHER
    assert stage.marks.read() == {}
