"""Time limits in threads."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

import pytest

from rmqwork._executor import limits
from rmqwork._executor.limits import Limit, Watchdog
from rmqwork.types import TimeLimitReached


def burn(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_run_is_interrupted_at_its_limit():
    watchdog = Watchdog(1)
    begin = time.monotonic()

    limit = Limit(0.05, "shop.slow")
    watchdog.watch(0, limit)
    with pytest.raises(TimeLimitReached):
        burn(10)
    watchdog.end(0, limit)

    assert time.monotonic() - begin < 8


def test_each_thread_has_its_own_limit():
    watchdog, ends = Watchdog(4), {}

    def run(slot: int, seconds: float) -> None:
        begin = time.monotonic()
        limit = Limit(seconds, "shop.slow")
        try:
            watchdog.watch(slot, limit)
            while time.monotonic() < begin + 30:
                time.sleep(0.001)
        except TimeLimitReached:
            ends[slot] = time.monotonic() - begin
        watchdog.end(slot, limit)

    threads = [
        threading.Thread(target=run, args=(slot, seconds))
        for slot, seconds in enumerate((1.0, 0.1, 0.7, 0.4))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)

    assert sorted(ends, key=ends.get) == [1, 3, 2, 0]


def test_nothing_is_raised_after_the_end_however_close_it_is():
    watchdog, caught = Watchdog(1), 0

    for n in range(300):
        limit = Limit(0.001, "shop.fast")
        try:
            watchdog.watch(0, limit)
            burn(0.0008 + n % 5 * 0.0001)
            watchdog.end(0, limit)
        except TimeLimitReached:
            caught += 1
            watchdog.end(0, limit)
        # What came too late would come here, outside of the try.
        for _ in range(200):
            pass

    assert 0 < caught <= 300


def test_a_task_that_does_not_stop_is_named_in_the_log_once(monkeypatch, caplog):
    monkeypatch.setattr(limits, "UNRESPONSIVE_AFTER", 0.1)
    watchdog = Watchdog(1)

    with caplog.at_level(logging.WARNING, "rmqwork.worker"):
        limit = Limit(0.05, "shop.deaf")
        with suppress(TimeLimitReached):
            watchdog.watch(0, limit)
            time.sleep(0.5)
        watchdog.end(0, limit)

    (record,) = caplog.records
    assert "shop.deaf has not stopped 0.1 s after its time_limit of 0.05 s" in record.message
