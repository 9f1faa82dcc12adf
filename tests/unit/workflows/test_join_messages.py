"""What the members of a group tell those who join it."""

from __future__ import annotations

import json

import pytest

from rmqwork._messages import headers as names
from rmqwork._topology.join_queues import TYPE
from rmqwork._workflows import join_messages
from rmqwork._workflows.context import TooLarge, WorkflowContext
from rmqwork._workflows.join_messages import Kind
from tests.unit.fakes import delivery

JOIN = {"join": "g", "queue": "rmqwork.joins.1", "size": 3}
MEMBER = {"join": "g", "queue": "rmqwork.joins.1", "index": 2}
CARRY = WorkflowContext("wf", 1000.9, "replies", "shop", 5000, 200)


def test_an_opening_tells_all_that_who_joins_must_know() -> None:
    sent = join_messages.opened(JOIN, '{"task":"t"}', CARRY)

    read = join_messages.read_opened(sent.body, 1000.0, 200)
    assert (sent.exchange, sent.routing_key, sent.type) == ("", "rmqwork.joins.1", TYPE)
    assert (sent.message_id, sent.timestamp, sent.app_id) == ("g", 1000, "shop")
    assert (read.size, read.then) == (3, '{"task":"t"}')
    assert read.carry == WorkflowContext("wf", 1000.0, "replies", "shop", 5000, 200)


def test_an_opening_leaves_out_what_there_is_not() -> None:
    sent = join_messages.opened(JOIN, "", WorkflowContext("wf", 1.0))

    assert json.loads(sent.body) == {"size": 3, "id": "wf", "then": []}
    assert join_messages.read_opened(sent.body, 1.0, 99).then == ""


def test_an_opening_whose_rest_is_too_large_is_refused() -> None:
    with pytest.raises(TooLarge, match="what comes after group g would take"):
        join_messages.opened(JOIN, json.dumps({"body": "x" * 200}), CARRY)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'{"size":3,"then":[]}', b'{"id":"wf","size":[],"then":[]}']
)
def test_what_is_no_opening_cannot_be_read(body: bytes) -> None:
    with pytest.raises(ValueError):  # also a UnicodeDecodeError
        join_messages.read_opened(body, 0.0, 99)


@pytest.mark.parametrize(
    ("kind", "make"),
    [(Kind.PART, join_messages.part), (Kind.FAILED, join_messages.failed_part)],
)
def test_a_members_end_has_its_place(kind: Kind, make) -> None:  # type: ignore[no-untyped-def]
    sent = make(MEMBER, b"7", CARRY)

    assert sent.headers == {names.JOIN: kind.value, names.WORKFLOW: "wf", names.INDEX: 2}
    assert (sent.body, sent.message_id) == (b"7", "g")


def test_an_end_and_a_fence_belong_to_no_workflow() -> None:
    for kind, sent in (
        (Kind.DONE, join_messages.done("q", "g", 5.0)),
        (Kind.FENCE, join_messages.fence("q", "mine", 5.0)),
    ):
        assert sent.headers == {names.JOIN: kind.value}
        assert join_messages.kind_of(delivery(headers=sent.headers)) is kind


@pytest.mark.parametrize("given", [{"headers": {}}, {"headers": {names.JOIN: "odd"}}])
def test_other_messages_are_of_no_kind(given: dict[str, object]) -> None:
    assert join_messages.kind_of(delivery(**given)) is None


def test_a_message_without_an_id_is_of_no_join() -> None:
    there = {"headers": {names.JOIN: "part"}}
    assert join_messages.kind_of(delivery(**there)) is Kind.PART
    assert join_messages.kind_of(delivery(**there, message_id=None)) is None
