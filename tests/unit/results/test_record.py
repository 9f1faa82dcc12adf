"""Records of results as bytes."""

from __future__ import annotations

import json

import pytest

from rmqwork import TimeLimitExceeded
from rmqwork._messages.ids import uuid7
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


@pytest.mark.parametrize("value", ["4", '"x"', '{"run":"x"}', '[",\\"run\\":\\"x\\""]', "null"])
def test_a_record_says_which_run_of_a_chosen_id_it_is_about(value: str) -> None:
    run = uuid7()
    body = record.success(f'{{"result":{value}}}'.encode())
    for one in (body, record.failure(Reason.FAILED, Evidence("E", "m")), record.started(1, None)):
        assert record.of_run(one, None) == one
        assert record.read(one).run == ""
        marked = record.read(record.of_run(one, run))
        assert (marked.run, marked.state) == (run, record.read(one).state)
    plain = json.loads(record.of_run(body, run))
    assert plain == {"state": "SUCCESS", "result": json.loads(value), "run": run}
