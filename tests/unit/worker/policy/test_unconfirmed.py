"""What of some publications is published again, and what is given up."""

from __future__ import annotations

import pytest

from rmqwork._messages import headers as names
from rmqwork._results.record import REPLY
from rmqwork._worker.policy.unconfirmed import remaining
from rmqwork.errors import (
    BrokerBlocked,
    BrokerUnavailable,
    InvalidMessage,
    Nacked,
    PublishTimeout,
    Unroutable,
)
from tests.unit.fakes import publication


def test_what_is_confirmed_is_left_out_and_the_first_reason_is_kept():
    one, two, three = (publication() for _ in range(3))
    full, unroutable = Nacked("full"), Unroutable("no queue")

    rest = remaining([one, two, three], [full, None, unroutable])

    assert (rest.publications, rest.error, rest.dropped) == ((one, three), full, 0)


@pytest.mark.parametrize("error", [Nacked("full"), Unroutable("gone"), InvalidMessage("large")])
def test_a_reply_that_nobody_can_take_is_dropped(error: Exception):
    reply, step = publication(type=REPLY), publication()

    rest = remaining([reply, step], [error, BrokerUnavailable("away")])

    assert (rest.publications, rest.dropped) == ((step,), 1)
    assert isinstance(rest.error, BrokerUnavailable)


@pytest.mark.parametrize("kind", [BrokerUnavailable, BrokerBlocked, PublishTimeout])
def test_a_reply_waits_for_a_broker_that_may_come_back(kind: type[Exception]):
    reply = publication(type=REPLY)

    assert remaining([reply], [kind("away")]).publications == (reply,)


def test_what_cannot_be_encoded_goes_again_without_what_can_be_missed():
    headers = {names.QUEUE: "q", names.ERROR_TRACEBACK: "long", "foreign": "x"}

    [slimmer] = remaining([publication(headers=headers)], [InvalidMessage("large")]).publications

    assert slimmer.headers == {names.QUEUE: "q"}
