"""Records, values and the way of answers through the worker, without a back end."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel, SecretStr

from rmqwork import (
    App,
    ConfigurationError,
    InvalidMessage,
    ResultsDisabled,
    TimeLimitExceeded,
)
from rmqwork._config.result_addresses import check_address, is_store
from rmqwork._config.settings import load_settings
from rmqwork._results import record
from rmqwork._results.rpc import reply_queue
from rmqwork._results.values import Returns, Values
from rmqwork._results.writing import ResultEncoder
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.decide import Ack, PublishThenAck, decide, is_reply
from rmqwork.types import Evidence, Failure, Reason, RetryOutcome, Success
from tests.unit.fakes import delivery as made


class Thumbnail(BaseModel):
    url: str
    made: datetime


def held(**given: object) -> HeldDelivery:
    return HeldDelivery(1, made(None, 1, **given), "q", "id-1", 1)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 4),
        (None, None),
        (bytes, b"\xff\x00"),
        (Decimal, Decimal("1.10")),
        (float, float("inf")),
        (list[Thumbnail], [Thumbnail(url="x", made=datetime(2026, 1, 1, tzinfo=UTC))]),
        (dict[int, set[str]], {3: {"a"}}),
        (tuple[int, str], (1, "x")),
    ],
)
def test_a_value_comes_back_as_its_type(annotation, value):
    values = Values("task 't'", annotation)

    body = record.success(values.dump(value))

    assert values.load(body) == value
    assert record.read(body).state == "SUCCESS"


def test_a_value_of_another_type_is_refused_where_it_is_made_and_where_it_is_read():
    values = Values("task 't'", int)
    with pytest.raises(ValueError, match="Expected `int`"):
        values.dump("x")
    with pytest.raises(InvalidMessage, match="its result is not of the annotated type"):
        values.load(b'{"state":"SUCCESS","result":"x"}')


def test_what_cannot_be_annotated_is_a_configuration_error():
    class Odd: ...

    for annotation, says in ((Odd, "return annotation"), (SecretStr, "asterisks")):
        with pytest.raises(ConfigurationError, match=says):
            Values("task 't'", annotation)


def test_an_app_with_results_checks_return_annotations_and_one_without_does_not():
    class Odd: ...

    for results, ignore in ((None, False), ("rpc://", True)):
        app = App("shop", results=results)
        app.task(ignore_result=ignore)(_returns(Odd))
        app.check()
    app = App("shop", results="rpc://")
    app.task(_returns(Odd))
    with pytest.raises(ConfigurationError, match="ignore_result=True"):
        app.check()


def _returns(kind: type):
    def odd() -> object: ...

    odd.__annotations__["return"] = kind
    return odd


def test_a_return_annotation_that_is_not_there_is_said_when_it_is_needed():
    def f() -> Missing: ...  # noqa: F821

    with pytest.raises(ConfigurationError, match="NameError"):
        Returns(f, None).values("task 'f'")


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


def test_what_cannot_be_kept_is_a_failure_of_the_answer():
    answers = ResultEncoder("t", lambda: Values("task 't'", int), 40)
    assert record.read(answers.record(3)).state == "SUCCESS"
    for value, kind in ((object(), "ResultNotEncoded"), (10**30, "ResultTooLarge")):
        lost = record.read(answers.record(value))
        assert (lost.state, lost.reason, lost.evidence.type) == ("FAILURE", "result-lost", kind)


def test_addresses():
    assert check_address("postgresql+psycopg://u:p@h/d") == "postgresql+psycopg://u:p@h/d"
    assert [is_store(url) for url in (None, "rpc://", "redis://h", "sqlite:///x")] == [
        False,
        False,
        True,
        True,
    ]
    for wrong in ("http://x", "redis", ""):
        with pytest.raises(ValueError, match="unknown result back end"):
            check_address(wrong)


def test_no_password_is_shown():
    settings = load_settings({"results": "redis://:secret@h/0"}, {})
    assert "secret" not in repr(settings)


def test_a_reply_queue_is_bounded_in_length_size_and_time():
    queue = reply_queue("shop", 10.0)
    assert queue.name.startswith("rmqwork.replies.shop.")
    assert queue.arguments["x-message-ttl"] == 10_000
    assert queue.arguments["x-expires"] == 60_000
    assert queue.arguments["x-overflow"] == "drop-head"
    assert queue.name != reply_queue("shop", 10.0).name


# ── in the worker ─────────────────────────────────────────────────────────────────────────────


def test_without_a_wish_nothing_is_answered():
    one = held()
    assert decide(one, Success(0.1), "host") == Ack()
    assert decide(one, Success(0.1, b"{}"), "host") == Ack()
    for outcome in (
        RetryOutcome(0.1, 1.0, True, Evidence("E", "m")),
        Failure(0.1, Reason.FAILED, Evidence("E", "m")),
    ):
        decision = decide(one, outcome, "host")
        assert isinstance(decision, PublishThenAck)
        assert decision.more == ()


@pytest.mark.parametrize(
    ("outcome", "state", "others"),
    [
        (Success(0.1, record.success(b'{"result":4}')), "SUCCESS", 0),
        (RetryOutcome(0.1, 1.0, True, Evidence("E", "m")), "RETRY", 1),
        (Failure(0.1, Reason.FAILED, Evidence("E", "m")), "FAILURE", 1),
        (Failure(0.1, Reason.REVOKED, Evidence("E", "m")), "REVOKED", 1),
    ],
)
def test_who_waits_is_answered_with_what_follows(outcome, state, others):
    one = held(reply_to="replies", correlation_id="c-1")

    decision = decide(one, outcome, "host")

    assert isinstance(decision, PublishThenAck)
    *rest, answer = decision.publications
    assert len(rest) == others
    assert not any(map(is_reply, rest))
    assert is_reply(answer)
    assert (answer.exchange, answer.routing_key) == ("", "replies")
    assert answer.correlation_id == "c-1"
    assert record.read(answer.body).state == state


def test_a_runner_makes_a_record_only_when_it_is_wanted(app, delivery):
    @app.task
    def add(x: int) -> int:
        return x + 1

    runner = app.runner()
    for extras, result in (
        (None, None),
        ({"timestamp": 1}, None),
        ({"reply": True}, b'{"state":"SUCCESS","result":4}'),
    ):
        prepared = runner.prepare(delivery("shop.add", b'{"x":3}', extras=extras))
        assert runner.run(prepared).result == result


def test_a_publication_carries_nothing_unless_the_app_has_results(app, port):
    @app.task
    def add(x: int) -> int:
        return x

    result = add.delay(1)
    assert (port.sent[0].reply_to, port.sent[0].correlation_id) == (None, None)
    with pytest.raises(ResultsDisabled, match="published without a result"):
        result.get(timeout=1)


def test_a_task_that_ignores_its_result_asks_for_none(port, monkeypatch):
    app = App("shop", broker="memory://ignored", results="rpc://")
    app.use_publisher(port)

    @app.task(ignore_result=True)
    def add(x: int) -> int:
        return x

    result = add.delay(1)
    assert port.sent[0].reply_to is None
    with pytest.raises(ResultsDisabled):
        result.get(timeout=1)
    app.close()
