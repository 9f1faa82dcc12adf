"""What of some publications is published again, and what is given up."""

from __future__ import annotations

import pytest

from rmqwork._messages import headers as names
from rmqwork._results.record import REPLY
from rmqwork._worker.policy.unconfirmed import is_hopeless, remaining
from rmqwork.errors import (
    BrokerBlocked,
    BrokerUnavailable,
    InvalidMessage,
    Nacked,
    PublishError,
    PublishTimeout,
    Unroutable,
)
from tests.unit.fakes import publication


def test_what_is_confirmed_is_left_out_and_the_reasons_are_kept():
    one, two, three = (publication() for _ in range(3))
    full, unroutable = Nacked("full"), Unroutable("no queue")

    rest = remaining([one, two, three], [full, None, unroutable])

    assert (rest.publications, rest.errors, rest.dropped) == ((one, three), (full, unroutable), 0)


@pytest.mark.parametrize("error", [Nacked("full"), Unroutable("gone"), InvalidMessage("large")])
def test_a_reply_that_nobody_can_take_is_dropped(error: Exception):
    reply, step = publication(type=REPLY), publication()

    rest = remaining([reply, step], [error, BrokerUnavailable("away")])

    assert (rest.publications, rest.dropped) == ((step,), 1)
    assert isinstance(rest.errors[0], BrokerUnavailable)


@pytest.mark.parametrize("kind", [BrokerUnavailable, BrokerBlocked, PublishTimeout])
def test_a_reply_waits_for_a_broker_that_may_come_back(kind: type[Exception]):
    reply = publication(type=REPLY)

    assert remaining([reply], [kind("away")]).publications == (reply,)


def test_what_cannot_be_encoded_goes_again_without_what_can_be_missed():
    headers = {names.QUEUE: "q", names.ERROR_TRACEBACK: "long", "foreign": "x"}

    [slimmer] = remaining([publication(headers=headers)], [InvalidMessage("large")]).publications

    assert slimmer.headers == {names.QUEUE: "q"}


def test_others_of_a_batch_do_not_pay_for_what_cannot_be_encoded():
    good, bad = publication(headers={"a": 1}), publication(headers={"b": 1 << 70})
    reply = publication(type=REPLY)
    error = InvalidMessage("a number of more than 64 bits")

    rest = remaining([good, bad, reply], [error] * 3)

    assert rest.publications[0] is good
    assert rest.publications[1].headers == {}
    assert rest.publications[2] is reply
    assert [isinstance(one, InvalidMessage) for one in rest.errors] == [False, True, False]


def test_where_all_can_be_encoded_the_largest_does_not_fit_its_frame():
    small, large = publication(headers={"a": 1}), publication(headers={"b": "x" * 5000})

    rest = remaining([small, large], [InvalidMessage("a frame")] * 2)

    assert rest.publications[0] is small
    assert rest.publications[1].headers == {}


@pytest.mark.parametrize(
    ("error", "late", "hopeless"),
    [
        (InvalidMessage("never"), False, True),
        (Unroutable("no queue"), False, False),
        (Unroutable("no queue"), True, True),
        (PublishError("no exchange"), True, True),
        (Nacked("full"), True, False),
        (BrokerUnavailable("away"), True, False),
        (RuntimeError("a fault of ours"), True, False),
    ],
)
def test_a_step_is_given_up_when_nothing_that_may_pass_holds_it_back(error, late, hopeless):
    assert is_hopeless(error, late=late) is hopeless
