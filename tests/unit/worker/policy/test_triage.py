"""What is decided of a delivery before its task runs."""

from __future__ import annotations

from typing import Any

import pytest

from rmqwork._messages import headers as names
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.decide import Decision, PublishThenAck
from rmqwork._worker.policy.triage import Triage
from rmqwork.types import Evidence
from tests.unit.fakes import delivery
from tests.unit.worker.specs import shop_spec

NEW, OLD = (4, 3, 0), (3, 10, 0)


def held(task: str | None = "shop.thread", partition: str | None = None, **given: Any) -> Any:
    given = {"queue": partition or "low", "type": task, "body": b"{}"} | given
    return HeldDelivery(1, delivery(None, 1, **given), "low", "id-1", 1, partition=partition)


def decided(
    one: HeldDelivery, server: tuple[int, ...] = NEW, revoked: Evidence | None = None
) -> Decision | None:
    return Triage(shop_spec(), lambda: server, lambda _: revoked).decide(one)


def letter(decision: Decision | None) -> tuple[object, object]:
    """The reason and the message of a dead letter."""
    assert isinstance(decision, PublishThenAck)
    assert decision.publication.routing_key == "low.dlq"
    headers = decision.publication.headers
    return headers[names.ERROR_REASON], headers[names.ERROR_MESSAGE]


def died(count: int) -> dict[str, Any]:
    return {"redelivered": True, "headers": {"x-delivery-count": count}}


@pytest.mark.parametrize(
    ("task", "lane"),
    [("shop.thread", "thread"), ("shop.loop", "async"), ("images.resize", "thread")],
)
def test_a_task_that_is_known_is_to_run_where_its_kind_runs(task: str, lane: str) -> None:
    one = held(task)

    assert decided(one) is None
    assert one.lane == lane


def test_what_names_no_task_is_invalid() -> None:
    reason, message = letter(decided(held(None)))

    assert reason == "invalid-message"
    assert "no type property" in str(message)


def test_what_was_revoked_does_not_run_and_says_by_whom() -> None:
    evidence = Evidence("TaskRevoked", "revoked by op@host")
    assert letter(decided(held(), revoked=evidence)) == ("revoked", "revoked by op@host")


def test_what_has_expired_does_not_run() -> None:
    assert letter(decided(held(headers={names.EXPIRES_AT: 1})))[0] == "expired"
    assert decided(held(headers={names.EXPIRES_AT: 1 << 50})) is None


@pytest.mark.parametrize(
    ("task", "headers", "says"),
    [
        ("shop.new", {}, "app 'shop' does not know task 'shop.new'"),
        ("images.resize", {names.VERSION: 3}, "is known up to version 2, not 3"),
    ],
)
def test_what_is_not_known_here_waits_and_is_said_once(
    task: str, headers: dict[str, object], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    decision = decided(held(task, headers=headers))

    assert isinstance(decision, PublishThenAck)
    assert decision.publication.routing_key != "low.dlq"
    since = decision.publication.headers[names.UNKNOWN_SINCE]
    assert says in caplog.text
    caplog.clear()
    decided(held(task, headers={**headers, names.UNKNOWN_SINCE: since}))
    assert caplog.text == ""
    reason, message = letter(decided(held(task, headers={**headers, names.UNKNOWN_SINCE: 1})))
    assert reason == "unknown-task"
    assert says in str(message)


@pytest.mark.parametrize("header", ["{", "other", 7])
def test_a_workflow_that_nobody_can_read_is_invalid(header: object) -> None:
    assert letter(decided(held(headers={names.WORKFLOW: header})))[0] == "invalid-message"


@pytest.mark.parametrize(("server", "innocent", "suspect"), [(NEW, 1, 2), (OLD, 4, 5)])
def test_a_suspect_is_moved_to_where_it_runs_isolated(
    server: tuple[int, ...], innocent: int, suspect: int
) -> None:
    assert decided(held(**died(innocent)), server) is None

    moved = decided(held(**died(suspect)), server)
    assert isinstance(moved, PublishThenAck)
    assert moved.publication.routing_key == "low.suspects"


def test_a_first_delivery_is_no_suspect_whatever_its_headers_say() -> None:
    assert decided(held(headers={"x-delivery-count": 50})) is None


@pytest.mark.parametrize(("count", "given_up"), [(5, False), (6, True)])
def test_what_dies_alone_is_given_up_after_its_attempts(count: int, given_up: bool) -> None:
    """It has five; the first count, with others, is free."""
    decision = decided(held(**died(count), queue="low.suspects"))

    assert (decision is not None) is given_up
    if given_up:
        assert letter(decision)[0] == "worker-crashed"


def test_a_suspect_of_a_partition_runs_alone_where_it_is() -> None:
    first, suspect, last = (held("shop.thread", "low.1", **died(n)) for n in (1, 2, 10))

    assert decided(first) is None
    assert not first.suspected
    assert decided(suspect) is None
    assert suspect.suspected
    assert letter(decided(last))[0] == "worker-crashed"
