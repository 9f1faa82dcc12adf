from __future__ import annotations

import logging

import pytest

from rmqwork import Context, RetryLater


def test_a_context_outside_of_a_worker():
    ctx: Context[None] = Context("id", "task", None)

    ctx.progress(1, 2)

    assert (ctx.attempt, ctx.max_attempts, ctx.queue, ctx.headers) == (1, 1, "", {})
    assert ctx.deadline is None
    assert not ctx.stopping.is_set()
    assert repr(ctx) == "<Context task id attempt 1>"


@pytest.mark.parametrize(
    ("given", "seconds", "count"),
    [({}, None, True), ({"countdown": 5}, 5, True), ({"count": False}, None, False)],
)
def test_retry_raises_what_no_except_exception_catches(given, seconds, count):
    ctx: Context[None] = Context("id", "task", None)

    with pytest.raises(RetryLater) as caught:
        ctx.retry(**given)

    assert (caught.value.seconds, caught.value.count) == (seconds, count)
    assert not isinstance(caught.value, Exception)


def test_log_records_carry_the_ids(caplog):
    ctx: Context[None] = Context("id-1", "shop.add", None, queue="low", attempt=2)

    with caplog.at_level(logging.INFO):
        ctx.log.info("half way")

    record = caplog.records[0]
    assert record.name == "rmqwork.task"
    assert record.message == "half way"
    assert record.__dict__["task_id"] == "id-1"
    assert record.__dict__["task"] == "shop.add"
    assert record.__dict__["queue"] == "low"
    assert record.__dict__["attempt"] == 2
