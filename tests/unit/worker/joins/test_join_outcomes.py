"""What follows from the end of a join."""

from __future__ import annotations

import json

from rmqwork._messages import headers as names
from rmqwork._topology import join_queues
from rmqwork._worker.joins.join_outcomes import Consequences, of_end
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.join import Abandon, Complete, Fail
from rmqwork._workflows.join_messages import Opened
from rmqwork._workflows.splice import frames_of
from rmqwork.types import Delivery, Reason
from tests.unit.fakes import delivery
from tests.unit.workflows.nodes import body, task

THEN = frames_of([task("b", into="values"), {"catch": [task("e")]}])
BAD = '{"task":"half"}'


def opened(then: str = THEN, max_size: int = 1 << 20) -> Opened:
    return Opened(2, then, WorkflowContext("wf", 0.0, "replies", "shop", None, max_size))


def end(effect: Complete | Fail | Abandon[Delivery]) -> Consequences:
    return of_end(effect, 500.0, 60.0, "host")


def test_the_values_go_on_in_order_at_the_time_of_the_end():
    found = end(Complete("j", opened(), [b"1", b'"x"']))
    (one,) = found.publications
    assert (one.message_id, body(one)["values"], one.timestamp) == ("b", [1, "x"], 500)
    assert (found.failures, found.problem) == ({}, "")


def test_values_that_fit_no_message_are_a_failure_of_the_join():
    found = end(Complete("j", opened(max_size=1000), [b"1" * 1000, b"2"]))
    handler, answer = found.publications
    assert body(handler)["x"]["type"] == "TooLarge"
    assert answer.correlation_id == "b"
    assert found.failures["b"].reason is Reason.FAILED


def test_the_failure_of_a_member_is_the_joins():
    failure = {
        "task_id": "a",
        "task": "shop.add",
        "reason": "time-limit",
        "type": "T",
        "message": "m",
    }
    found = end(Fail("j", opened(), json.dumps(failure).encode()))
    handler, answer = found.publications
    assert body(handler)["x"] == {**failure, "workflow": "wf"}
    assert (answer.routing_key, answer.correlation_id) == ("replies", "b")
    assert found.failures["b"].reason is Reason.TIME_LIMIT


def test_a_failure_that_nobody_can_read_is_one_all_the_same():
    for text in (b"?", b"[]", b'{"reason":"strange"}'):
        found = end(Fail("j", opened(), text))
        assert found.failures["b"].reason is Reason.FAILED


def test_what_is_given_up_is_dead_lettered_message_by_message():
    held = [delivery(message_id="j", queue="rmqwork.joins.1", headers={names.JOIN: "part"})]
    found = end(Abandon("j", opened(), 1, held))
    letter, handler, _ = found.publications
    assert (letter.routing_key, letter.headers[names.QUEUE]) == (
        join_queues.DEAD_LETTERS,
        "rmqwork.joins.1",
    )
    assert "only 1 of 2 came within 60 s" in str(letter.headers[names.ERROR_MESSAGE])
    assert body(handler)["x"]["reason"] == "expired"
    (alone,) = end(Abandon("j", None, 1, held)).publications
    assert "never did" in str(alone.headers[names.ERROR_MESSAGE])


def test_what_cannot_be_read_ends_as_a_dead_letter_with_the_values():
    for effect, kept in (
        (Complete("j", opened(BAD), [b"1", b"2"]), b"[1,2]"),
        (Fail("j", opened("{"), b'{"type":"T"}'), b'{"type":"T"}'),
    ):
        (letter,) = end(effect).publications
        assert (letter.routing_key, letter.message_id, letter.body) == (
            join_queues.DEAD_LETTERS,
            "j",
            kept,
        )
    (letter,) = end(Abandon("j", opened("{"), 1, [delivery(body=b"7")])).publications
    assert letter.body == b"7"
