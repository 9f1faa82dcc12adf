"""What a letter looks like when it is sent again."""

from __future__ import annotations

from typing import Any

import pytest

from rmqwork._admin.deadletters.replay_message import resent, route_back
from rmqwork._messages.history import HISTORY, AttemptRecord, append, steps
from tests.unit.admin.deadletters.dead_letters import letter

NOW = 1_893_456_000.0


def test_only_what_belongs_to_the_message_goes_along() -> None:
    found = letter(
        b"\x00\xff",
        tenant="t",
        traceparent="00-ab",
        x_death=[{"queue": "q"}],
        x_delivery_count=3,
        CC=["other"],
        rmqwork_workflow='{"id":"w"}',
        rmqwork_version=2,
        rmqwork_unknown_since=5,
        rmqwork_d3=True,
    )
    sent = resent(found, None, NOW)
    assert (sent.exchange, sent.routing_key) == ("", "q")
    assert (sent.body, sent.message_id, sent.type) == (b"\x00\xff", "id1", "shop.add")
    history = sent.headers[HISTORY]
    assert {key: value for key, value in sent.headers.items() if key != HISTORY} == {
        "tenant": "t",
        "traceparent": "00-ab",
        "rmqwork-workflow": '{"id":"w"}',
        "rmqwork-version": 2,
        "rmqwork-queue": "q",
        "rmqwork-exchange": "rmqwork.tasks",
        "rmqwork-routing-key": "q",
        "rmqwork-replay": 1,
    }
    failed, replayed = steps({HISTORY: history})
    assert failed == AttemptRecord(3, "2030-01-01T00:00:00.000Z", "pod-1", "ValueError: bad")
    assert (replayed.attempt, replayed.what) == (0, "replayed")


@pytest.mark.parametrize(("before", "after"), [(None, 1), (4, 5), ("x", 1), (True, 1), (-2, 1)])
def test_replays_are_counted(before: Any, after: int) -> None:
    assert resent(letter(rmqwork_replay=before), None, NOW).headers["rmqwork-replay"] == after


def test_a_time_to_expire_counts_only_while_it_is_to_come() -> None:
    past, future = int(NOW * 1000) - 1, int(NOW * 1000) + 1
    assert "rmqwork-expires-at" not in resent(letter(rmqwork_expires_at=past), None, NOW).headers
    sent = resent(letter(rmqwork_expires_at=future), None, NOW)
    assert sent.headers["rmqwork-expires-at"] == future


def moved_by_the_broker(queue: str) -> dict[str, Any]:
    return {
        "rmqwork_error_reason": None,
        "rmqwork_queue": None,
        "rmqwork_exchange": None,
        "rmqwork_routing_key": None,
        "x_death": [
            {"queue": queue, "reason": "expired", "exchange": "e", "routing-keys": ["k"]},
        ],
    }


@pytest.mark.parametrize("queue", ["q", "q.due", "q.suspects"])
def test_what_the_broker_moved_goes_to_the_queue_that_workers_read(queue: str) -> None:
    assert route_back(letter(**moved_by_the_broker(queue))) == ("", "q")


def test_a_queue_may_be_called_due() -> None:
    found = letter(queue="q.due.dlq", **moved_by_the_broker("q.due"))
    assert route_back(found) == ("", "q.due")


def test_what_never_reached_a_queue_takes_its_first_route() -> None:
    none = {"rmqwork_queue": None, "rmqwork_error_reason": None, "rmqwork_routing_key": "k"}
    assert route_back(letter(queue="rmqwork.unroutable", **none)) == ("", "k")
    due = letter(queue="rmqwork.unroutable", rmqwork_due="events", **none)
    assert route_back(due) == ("events", "k")
    assert route_back(letter(queue="rmqwork.unroutable")) == ("", "q")


def test_another_queue_on_request() -> None:
    assert resent(letter(), "elsewhere", NOW).routing_key == "elsewhere"


def test_a_history_is_bounded_and_reads_whatever_it_is_given() -> None:
    headers: dict[str, object] = {}
    for number in range(1, 100):
        headers[HISTORY] = append(headers, AttemptRecord(number, "t", "a host", "x" * 100))
    found = steps(headers)
    assert len(str(headers[HISTORY])) <= 4096
    assert (found[-1].attempt, found[-1].host) == (99, "a-host")
    assert 20 < len(found) < 99
    for odd in (7, "", "x", "1", "1 t", "٣ t h w", "\n\n", b"1 t h w"):
        assert steps({HISTORY: odd}) == []
