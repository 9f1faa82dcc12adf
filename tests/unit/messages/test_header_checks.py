"""Headers of ours that none of ours has written."""

from __future__ import annotations

import pytest

from rmqwork._messages import headers as names
from rmqwork._messages.header_checks import MAX_ATTEMPT, wrong_header
from rmqwork._messages.history import HISTORY


def test_what_ours_write_is_right():
    headers = {
        names.ATTEMPT: 5_000,
        names.VERSION: 2,
        names.EXPIRES_AT: 1_700_000_000_000,
        names.QUEUE: "q",
        HISTORY: "a line",
        names.WORKFLOW: "w",
        "foreign": [1, {"a": 2}],
    }
    assert wrong_header(headers) is None
    assert wrong_header({}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (names.ATTEMPT, MAX_ATTEMPT + 1),
        (names.ATTEMPT, 0),
        (names.ATTEMPT, "2"),
        (names.ATTEMPT, True),
        (names.ATTEMPT, 2.0),
        (names.VERSION, -1),
        (names.EXPIRES_AT, 1 << 62),
        (names.EXPIRES_AT, "soon"),
        (names.UNKNOWN_SINCE, -5),
        (names.REPLAY, [1]),
        (names.QUEUE, b"\xff"),
        (names.HOST, {"a": 1}),
        (HISTORY, 5),
        (names.SIGNATURE, None),
    ],
)
def test_nonsense_is_named(name: str, value: object):
    assert name in str(wrong_header({"foreign": 1, name: value}))
