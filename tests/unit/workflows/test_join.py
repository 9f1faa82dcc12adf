"""A shard: how long it waits, what it keeps, what it takes for a copy."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from rmqwork._messages import headers as names
from rmqwork._workflows import join_messages
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.join import (
    KEEP_MARKER,
    Abandon,
    Ack,
    Complete,
    Fail,
    Gathering,
    JoinMessage,
    PublishDone,
    PublishFence,
    Shard,
    join_message_of,
)
from rmqwork._workflows.join_messages import Kind, Opened
from rmqwork.types import Publication
from tests.unit.fakes import delivery

TTL = 3600.0


def opened(size: int = 2) -> Opened:
    return Opened(size, "", WorkflowContext("wf", 0.0))


def told(
    kind: Kind, index: int = 0, at: float = 0.0, join: str = "j", size: int = 2
) -> JoinMessage:
    what = opened(size) if kind is Kind.OPEN else None
    return JoinMessage(kind, join, at, what, index, b"%d" % index)


@pytest.fixture
def shard() -> Shard[str]:
    """A shard whose fence has come back."""
    shard: Shard[str] = Shard(TTL, (f"f{n}" for n in itertools.count()))
    assert shard.received(told(Kind.FENCE, join="somebody's"), "t") == [
        PublishFence("f0"),
        Ack(["t"]),
    ]
    assert shard.busy
    assert shard.received(told(Kind.FENCE, join="f0"), "t") == [Ack(["t"])]
    assert not shard.busy
    return shard


def test_a_join_from_its_opening_to_its_end(shard: Shard[str]) -> None:
    assert shard.received(told(Kind.OPEN), "open") == []
    assert shard.received(told(Kind.PART, 1), "one") == []
    assert shard.received(told(Kind.PART, 0), "zero") == [Complete("j", opened(), [b"0", b"1"])]
    assert shard.busy
    assert shard.followed("j") == [PublishDone("j")]
    assert shard.received(told(Kind.DONE), "done") == [Ack(["open", "one", "zero"])]
    assert shard.marked("j") == []
    assert not shard.busy
    assert shard.received(told(Kind.PART, 1), "late") == [Ack(["late"])]


def test_how_far_a_join_is_can_be_told(shard: Shard[str]) -> None:
    assert shard.summary() == []
    shard.received(told(Kind.PART, 1, at=5.0), "one")
    assert shard.summary() == [Gathering("j", None, 1, None, 5.0)]
    shard.received(told(Kind.OPEN, at=6.0), "open")
    assert shard.summary() == [Gathering("j", "wf", 1, 2, 5.0)]


def test_a_group_fails_once_with_its_first_failure(shard: Shard[str]) -> None:
    shard.received(told(Kind.OPEN), "open")
    assert shard.received(told(Kind.FAILED, 0), "first") == [Fail("j", opened(), b"0")]
    assert shard.received(told(Kind.FAILED, 1), "second") == []
    shard.followed("j")
    assert shard.marked("j") == [Ack(["open", "first", "second"])]


def test_copies_are_acked_at_once_and_a_value_outweighs_a_failure(shard: Shard[str]) -> None:
    for kind, index in ((Kind.OPEN, 0), (Kind.PART, 0)):
        assert shard.received(told(kind, index), "first") == []
        assert shard.received(told(kind, index), "copy") == [Ack(["copy"])]
    assert shard.received(told(Kind.FAILED, 0), "it ran twice") == [Ack(["it ran twice"])]


def test_what_no_member_can_have_said_completes_nothing(shard: Shard[str]) -> None:
    shard.received(told(Kind.OPEN), "open")
    shard.received(told(Kind.PART, 7), "seven")
    assert shard.received(told(Kind.PART, 0), "zero") == []


def test_the_marker_of_an_end_is_kept_for_a_while(shard: Shard[str]) -> None:
    shard.received(told(Kind.DONE, at=100.0), "done")
    assert shard.elapsed(100.0 + KEEP_MARKER - 1) == []
    assert shard.elapsed(100.0 + KEEP_MARKER) == [Ack(["done"])]
    assert shard.received(told(Kind.PART, 1), "late") == [Ack(["late"])]


def test_what_waits_for_too_long_is_given_up_once(shard: Shard[str]) -> None:
    shard.received(told(Kind.OPEN, at=10.0), "open")
    shard.received(told(Kind.PART, 1, at=50.0), "one")
    assert shard.elapsed(10.0 + TTL - 1) == []
    assert shard.elapsed(10.0 + TTL) == [Abandon("j", opened(), 1, ["open", "one"])]
    assert shard.elapsed(10.0 + TTL) == []
    shard.followed("j")
    assert shard.marked("j") == [Ack(["open", "one"])]


def test_parts_of_which_nobody_has_heard_are_given_up_too(shard: Shard[str]) -> None:
    shard.received(told(Kind.PART, 1), "one")
    assert shard.elapsed(TTL) == [Abandon("j", None, 1, ["one"])]


def test_all_that_is_held_can_be_handed_back(shard: Shard[str]) -> None:
    shard.received(told(Kind.OPEN), "open")
    shard.received(told(Kind.DONE, join="other"), "done")
    assert set(shard.release()) == {"open", "done"}
    assert shard.open == 0


def test_10000_members_take_linear_time(shard: Shard[str]) -> None:
    shard.received(told(Kind.OPEN, size=10_000), "open")
    for index in range(9_999):
        assert shard.received(told(Kind.PART, index), "t") == []
    (effect,) = shard.received(told(Kind.PART, 9_999), "t")
    assert isinstance(effect, Complete)
    assert len(effect.values) == 10_000


# ── messages ──────────────────────────────────────────────────────────────────────────────────


def received(publication: Publication, **changed: Any) -> JoinMessage:
    fields = {name: getattr(publication, name) for name in ("body", "headers", "timestamp")}
    found = delivery(message_id=publication.message_id, **fields | changed)
    return join_message_of(found, 99.0, 1 << 20)


def test_what_is_published_is_read_as_it_was_meant() -> None:
    carry = WorkflowContext("wf", 5.0, "replies", "shop", 77, 1 << 20)
    join = {"join": "j", "queue": "q", "size": 2, "index": 1}
    opening = received(join_messages.opened(join, '{"task":"a"}', carry))
    assert opening == JoinMessage(Kind.OPEN, "j", 5.0, Opened(2, '{"task":"a"}', carry))
    assert received(join_messages.part(join, b"[1]", carry)) == JoinMessage(
        Kind.PART, "j", 5.0, None, 1, b"[1]"
    )
    assert received(join_messages.failed_part(join, b"{}", carry)).kind is Kind.FAILED
    assert received(join_messages.done("q", "j", 5.0)).kind is Kind.DONE
    assert received(join_messages.fence("q", "f", 5.0)).join == "f"
    assert join_messages.part(join, b"1", carry).headers[names.WORKFLOW] == "wf"


@pytest.mark.parametrize(
    "changed",
    [{"headers": {}}, {"headers": {names.JOIN: "no"}}, {"body": b"\xff"}, {"body": b"{}"}],
)
def test_what_is_none_of_a_join_is_refused(changed: dict[str, Any]) -> None:
    opening = join_messages.opened(
        {"join": "j", "queue": "q", "size": 2}, "", WorkflowContext("wf", 5.0)
    )
    with pytest.raises(ValueError):
        received(opening, **changed)
