"""What a worker does with the workflow that a message carries."""

from __future__ import annotations

import json

import pytest

from rmqwork._messages import headers as names
from rmqwork._results import record
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.workflow import carried, users_part
from rmqwork._worker.policy.decide import Ack, PublishThenAck, decide, is_reply
from rmqwork._worker.processes.delivering import _message
from rmqwork._workflows.context import MAX_SIZE
from rmqwork._workflows.flow import launch
from rmqwork._workflows.splice import dump
from rmqwork.errors import InvalidMessage
from rmqwork.types import Evidence, Failure, Reason, Replaced, RetryOutcome, Success
from tests.unit.fakes import delivery
from tests.unit.workflows.nodes import CARRY, body, ids, task

EVIDENCE = Evidence("ValueError", "it broke", "Traceback …")
FAILURE = Failure(0.1, Reason.FAILED, EVIDENCE)


def held(node: object, max_size: int = MAX_SIZE, **more: object) -> HeldDelivery:
    """The first message of a workflow, held after its triage."""
    one = launch(node, None, "", CARRY)[-1]  # type: ignore[arg-type]
    fields = {
        name: getattr(one, name)
        for name in ("body", "headers", "type", "content_type", "reply_to", "correlation_id")
    }
    found = delivery(message_id=one.message_id, app_id="shop", **fields | more)
    return HeldDelivery(
        1, found, "q", one.message_id, 1, carried=carried(found, max_size), lane="thread"
    )


def chain(*nodes, **more):
    return {"chain": list(nodes), **more}


def success(value: object = 7) -> Success:
    return Success(0.1, record.success(json.dumps({"result": value}).encode()))


def following(decision: object) -> tuple:
    assert isinstance(decision, PublishThenAck)
    return decision.publications


def test_the_next_step_and_the_answer_go_together():
    step, answer = following(decide(held(chain(task("a"), task("b"))), success(), "host"))
    assert (step.message_id, body(step)["x"]) == ("b", 7)
    assert (step.reply_to, step.app_id) == ("replies", "shop")
    assert is_reply(answer)
    assert answer.correlation_id == "a"


def test_a_last_step_is_acked_and_answered_like_any_task():
    (answer,) = following(decide(held(chain(task("a"))), success(), "host"))
    assert is_reply(answer)
    assert decide(held(chain(task("a")), reply_to=None), Success(0.1), "host") == Ack()


def test_a_retry_and_a_dead_letter_keep_the_workflow():
    one = held(chain(task("a"), task("b")))
    retry, _ = following(decide(one, RetryOutcome(0.1, 2.0, True, EVIDENCE), "host"))
    letter, *_ = following(decide(one, FAILURE, "host"))
    for kept in (retry, letter):
        assert kept.headers[names.WORKFLOW] == one.delivery.headers[names.WORKFLOW]


def test_a_failure_starts_handlers_and_answers_for_what_never_runs():
    node = chain(task("a"), task("b"), task("c"), link_error=[task("e")])
    decision = decide(held(node), FAILURE, "host")
    letter, handler, *answers = following(decision)
    assert letter.headers[names.ERROR_REASON] == "failed"
    assert handler.message_id == "e"
    assert body(handler)["x"] == {
        "task_id": "a",
        "task": "shop.add",
        "reason": "failed",
        "type": "ValueError",
        "message": "it broke",
        "traceback": "Traceback …",
        "attempt": 1,
        "workflow": "wf",
    }
    assert [answer.correlation_id for answer in answers] == ["a", "b", "c"]
    assert all(record.read(answer.body).state is record.State.FAILURE for answer in answers)
    assert isinstance(decision, PublishThenAck)
    assert decision.never == ("b", "c")


def test_nobody_is_answered_who_does_not_wait():
    decision = decide(held(chain(task("a"), task("b")), reply_to=None), FAILURE, "host")
    assert len(following(decision)) == 1


def test_a_value_that_cannot_be_passed_on_ends_the_workflow_where_people_see_it():
    lost = Success(0.1, record.failure(record.LOST, Evidence("ResultNotEncoded", "no JSON")))
    letter, *answers = following(decide(held(chain(task("a"), task("b"))), lost, "host"))
    assert letter.headers[names.ERROR_TYPE] == "ResultNotEncoded"
    assert [(answer.correlation_id, answer.body == lost.result) for answer in answers] == [
        ("a", True),
        ("b", False),
    ]


def test_a_value_that_makes_the_next_message_too_large_does_so_too():
    one = held(chain(task("a"), task("b")), max_size=1000)
    letter, *_ = following(decide(one, success("x" * 1000), "host"))
    assert letter.headers[names.ERROR_TYPE] == "TooLarge"
    assert "1,000" in str(letter.headers[names.ERROR_MESSAGE])


def test_a_workflow_that_was_broken_by_hand_is_a_dead_letter_and_not_lost():
    document = '{"id":"wf","then":[{"task":]}'
    with pytest.raises(InvalidMessage, match="cannot go on"):
        carried(delivery(headers={names.WORKFLOW: document}))


def test_a_workflow_that_breaks_later_ends_in_the_dead_letter_of_the_step_before():
    step = '{"task":"b","id":"b","exchange":"","key":"q"}'
    document = f'{{"id":"wf","then":[{{"link":[{step}]}},{step},garbage]}}'
    found = delivery(headers={names.WORKFLOW: document})
    one = HeldDelivery(1, found, "q", "id-1", 1, carried=carried(found))
    (letter,) = following(decide(one, FAILURE, "host"))
    assert letter.headers[names.ERROR_REASON] == "failed"
    assert letter.headers[names.WORKFLOW] == document


def test_what_replaces_a_task_is_started_with_all_that_came_after_it():
    new = dump(chain(task("n", into=None), task("a")))
    (step,) = following(decide(held(chain(task("a"), task("b"))), Replaced(0.1, new.encode()), "h"))
    assert step.message_id == "n"
    again = delivery(headers=step.headers, body=step.body)
    assert carried(again).workflow.then.count('"task"') == 2  # type: ignore[union-attr]


def test_a_task_of_no_workflow_can_be_replaced():
    one = HeldDelivery(1, delivery(message_id="a", reply_to="r"), "q", "a", 1)
    (step,) = following(decide(one, Replaced(0.1, dump(task("a")).encode()), "host"))
    assert (step.message_id, step.reply_to, step.correlation_id) == ("a", "r", "a")


@pytest.mark.parametrize("node", [b"{", b"[]", b"7", b'{"task":"x"}'])
def test_a_replacement_that_nobody_can_read_is_a_failure(node):
    letter, *_ = following(decide(held(chain(task("a"))), Replaced(0.1, node), "host"))
    assert letter.headers[names.ERROR_REASON] == "failed"


def test_an_executor_sees_neither_the_workflow_nor_the_envelope():
    small, large = held(chain(task("a"), task("b"))), held(chain(*(task() for _ in range(200))))
    for one in (small, large):
        message = _message(one)
        assert json.loads(message[4]) == {"y": 1}
        assert message[8:10] == (None, "application/json")
        assert message[10] == {"reply": True, "value": True, "workflow": "wf"}
    assert users_part(delivery(headers={"mine": 1, names.WORKFLOW: "x"}))[0] == {"mine": 1}


def test_a_value_that_nothing_takes_is_not_asked_for():
    one = held(chain(task("a"), task("b", into=None)), reply_to=None)
    assert _message(one)[10] == {"workflow": "wf"}
    (step,) = following(decide(one, Success(0.1), "host"))
    assert ids([step]) == ["b"]
