"""Records of results as bytes."""

from __future__ import annotations

from rmqwork import TimeLimitExceeded
from rmqwork._results import record
from rmqwork.types import Evidence, Reason


def test_records_are_read_back():
    evidence = Evidence("ValueError", "nö", "tb")
    failure = record.read(record.failure(Reason.TIME_LIMIT, evidence))
    assert (failure.state, failure.reason, failure.evidence) == ("FAILURE", "time-limit", evidence)
    error = failure.error("shop.add", "id-1")
    assert isinstance(error, TimeLimitExceeded)
    assert (error.task_id, error.reason) == ("id-1", "time-limit")
    assert record.read(record.retry(evidence)).state == "RETRY"
    assert record.read(record.started(1, None)).progress == (1, None)
    for garbage in (b"", b"[]", b'{"state":"ODD"}', b"\xff", b'{"state":"STARTED","progress":3}'):
        assert record.read(garbage).reason == record.LOST
