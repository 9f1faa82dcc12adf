"""The header that tells of earlier attempts."""

from __future__ import annotations

from datetime import datetime

import pytest

from rmqwork._messages.history import HISTORY, AttemptRecord, append, steps, summary, utc_now


def failed(attempt: int, what: str = "ValueError: no") -> AttemptRecord:
    return AttemptRecord(attempt, "2030-01-01T00:00:00.000Z", "pod-1", what)


def test_steps_are_read_as_they_were_written_the_oldest_first() -> None:
    headers = {HISTORY: append({}, failed(1))}
    headers = {HISTORY: append(headers, failed(2, "KeyError: 'a b'"), failed(0, "replayed"))}

    assert steps(headers) == [failed(1), failed(2, "KeyError: 'a b'"), failed(0, "replayed")]


def test_a_host_and_a_time_may_be_missing_and_a_host_has_no_spaces() -> None:
    headers = {
        HISTORY: append({}, AttemptRecord(1, "", "", "x"), AttemptRecord(2, "t", "a b", "y"))
    }

    assert steps(headers) == [AttemptRecord(1, "", "", "x"), AttemptRecord(2, "t", "a-b", "y")]


def test_the_oldest_are_dropped_and_the_newest_stays_however_long_it_is() -> None:
    headers: dict[str, object] = {}
    for attempt in range(1, 101):
        headers = {HISTORY: append(headers, failed(attempt, "E: " + "x" * 150))}

    kept = [step.attempt for step in steps(headers)]
    assert kept == list(range(kept[0], 101))
    assert 15 < len(kept) < 30
    assert len(str(headers[HISTORY]).encode()) <= 4096
    assert [step.attempt for step in steps({HISTORY: append(headers, failed(7, "é" * 4096))})] == [
        7
    ]


@pytest.mark.parametrize("value", [None, 3, b"1 t h x", "", "x", "1 t h", "²  t h x", "9" * 10])
def test_other_peoples_headers_are_no_history(value: object) -> None:
    assert steps({HISTORY: value}) == []
    assert steps({HISTORY: append({HISTORY: value}, failed(2))})[-1] == failed(2)


def test_an_error_is_told_on_one_short_line() -> None:
    assert summary("ValueError", "a\n  b") == "ValueError: a b"
    assert summary("ValueError", "") == "ValueError"
    long = summary("ValueError", "x" * 500)
    assert (len(long), long[-2:]) == (160, "x…")


def test_the_time_is_utc_to_the_millisecond() -> None:
    now = utc_now()
    assert now.endswith("Z")
    assert datetime.fromisoformat(now).tzname() == "UTC"
    assert len(now) == len("2030-01-01T00:00:00.000Z")
