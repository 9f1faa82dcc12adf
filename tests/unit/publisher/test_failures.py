"""Which error a publisher is told, and what it says to do."""

from __future__ import annotations

import pytest

from rmqwork._publisher.failures import refused, too_late
from rmqwork.errors import (
    BrokerBlocked,
    BrokerUnavailable,
    Nacked,
    PublishError,
    PublishTimeout,
    Unroutable,
)
from rmqwork.types import Publication, Verdict

MINE = Publication("shop", "high", b"{}", "id-1", "shop.add")


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize(
    ("blocked", "problem", "kind", "says"),
    [
        (False, None, PublishTimeout, "raise publish_timeout"),
        (False, "amqp://h: refused", BrokerUnavailable, "amqp://h: refused"),
        (True, None, BrokerBlocked, "free memory or disk"),
        (True, "amqp://h: refused", BrokerBlocked, "free memory or disk"),
    ],
)
def test_without_a_confirm_in_time(
    sent: bool, blocked: bool, problem: str | None, kind: type[PublishError], says: str
) -> None:
    error = too_late(MINE, 2.5, sent, blocked, problem)

    assert type(error) is kind
    assert (error.task_id, error.may_have_arrived) == ("id-1", sent)
    assert "task 'shop.add' (id-1) was not confirmed within 2.5 s" in str(error)
    assert says in str(error)
    assert ("it may have arrived" if sent else "it was not sent") in str(error)


@pytest.mark.parametrize(
    ("verdict", "kind", "says"),
    [
        (
            Verdict.RETURNED,
            Unroutable,
            "NO_ROUTE: no queue for exchange 'shop', routing key 'high'",
        ),
        (Verdict.NACKED, Nacked, "the queue is full"),
        (Verdict.REFUSED, PublishError, "refused by the broker .*NO_ROUTE"),
        (Verdict.LOST, PublishError, "refused by the broker .*NO_ROUTE"),
    ],
)
def test_what_the_broker_does_not_take(
    verdict: Verdict, kind: type[PublishError], says: str
) -> None:
    error = refused(MINE, verdict, "NO_ROUTE")

    assert type(error) is kind
    assert error.task_id == "id-1"
    assert not error.may_have_arrived
    with pytest.raises(kind, match=says):
        raise error
